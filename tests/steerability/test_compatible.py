"""The public protocol, to the figure."""

import numpy as np
import polars as pl
import pytest
from oracle_figures import PERSONA_ID, SCORES, SPLITS

from influence_assets.personas.ids import persona_id, statement_id
from influence_assets.steerability import compatible
from influence_assets.steerability.cells import design
from influence_assets.steerability.people import people
from resources.errors import InputError


def test_persona_id():
    framework, name, expected = PERSONA_ID
    assert persona_id(framework, name) == expected


def test_the_sample_is_that_of_a_shuffled_file():
    # pandas: DataFrame({"row": range(100)}).sample(n=5, random_state=42)
    assert compatible.sample_positions(100, 5, 42) == [83, 53, 70, 45, 44]
    assert compatible.sample_positions(100, 0, 42) == list(range(100))
    assert sorted(compatible.sample_positions(100, 500, 7)) == list(range(100))


@pytest.mark.parametrize("n", SPLITS)
def test_steering_positions(n):
    rows = compatible.steer_positions(n)
    assert rows + [compatible.ROWS_PER_LABEL + row for row in rows] == SPLITS[n]["positions"]


@pytest.mark.parametrize("n", SPLITS)
def test_the_split_of_files_of_the_public_size(n):
    personas, statements = _public_size()
    who = people(personas, statements)
    splits = compatible.public_splits(who, statements, n)
    draws = [draw for draw in splits.draws[0] if draw is not None]
    assert sum(len(draw.shown) for draw in draws) == SPLITS[n]["n_steer_total"]
    assert sum(len(draw.test) for draw in draws) == SPLITS[n]["n_test_total"]
    place = {statement: row for row, statement in enumerate(statements["statement_id"].to_list())}
    for persona, draw in enumerate(draws):
        own = sorted(place[who.statement_ids[s]] for s in who.statements_of(persona).tolist())
        agree, disagree = draw.steer(n)
        positions = [own.index(place[who.statement_ids[s]]) for s in [*agree.tolist(), *disagree.tolist()]]
        assert positions == SPLITS[n]["positions"]
    assert len(design(who, splits, pairs=None, seed=0)) == 100 * SPLITS[n]["n_test_total"]


def test_incomplete_files_and_odd_sizes_are_refused():
    personas, statements = _public_size(2)
    who = people(personas, statements.head(100))
    with pytest.raises(InputError, match="needs 30 statements of either label"):
        compatible.public_splits(who, statements.head(100), 4)
    with pytest.raises(InputError, match="half agree, half disagree"):
        compatible.steer_positions(5)


@pytest.mark.parametrize("case", SCORES)
def test_scores(case):
    expected = SCORES[case]
    got = compatible.compatible_scores(expected["accuracy"])
    for name in ("sensitivity", "specificity", "sensitivity_median", "specificity_median"):
        assert getattr(got, name) == pytest.approx(expected[name], abs=1e-12), name
    assert got.sensitivity_P == pytest.approx(expected["sensitivity_scores"], abs=1e-12)
    assert got.specificity_P == pytest.approx(expected["specificity_scores"], abs=1e-12)


def test_a_matrix_with_holes_is_refused():
    with pytest.raises(ValueError, match="full square"):
        compatible.compatible_scores(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="full square"):
        compatible.compatible_scores(np.ones((2, 3)))


def _public_size(n_personas: int = 100) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Files of the public shape: 30 agree rows, then 30 disagree rows of every persona."""
    ids = [persona_id("World", f"N{number}") for number in range(n_personas)]
    personas = pl.DataFrame(
        {
            "framework": ["world"] * n_personas,
            "persona_id": ids,
            "name": [f"N{number}" for number in range(n_personas)],
            "framework_name": ["World"] * n_personas,
            "description": ["someone"] * n_personas,
        }
    )
    rows = [
        (persona, f"I say {persona} {agree} {index}.", agree)
        for persona in ids
        for agree in (True, False)
        for index in range(30)
    ]
    statements = pl.DataFrame(rows, schema=["persona_id", "text", "agree"], orient="row").with_columns(
        pl.Series("statement_id", [statement_id(agree, text, who) for who, text, agree in rows])
    )
    return personas, statements
