"""What is asked of a model, and the rows that come of it."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from steering_world import PROMPTS, RuleModels, frames, measure, world

from influence_assets.steerability import respond as respond_module
from influence_assets.steerability.matrix import MAX_LOG_ODDS, matrix
from influence_assets.steerability.people import people
from influence_assets.steerability.respond import count_requests
from influence_assets.steerability.tables import MATRIX, RESPONSES
from resources.messages import Status

ALL = ("none", "name", "description", "examples", "description_and_examples", "inferred_description")


def test_rows_have_the_columns_and_key_of_the_table():
    _, rows = measure(RuleModels(), world(4), methods=ALL, n_steer=(0, 2), repeats=2)
    assert rows.columns == [column.name for column in RESPONSES.columns]
    assert rows.select(RESPONSES.key).is_unique().all()
    assert set(rows["method"]) == {*ALL, "always_agree", "coin", "bag_of_words"}
    assert set(rows.filter(pl.col("method") == "name")["n_steer"]) == {0}
    assert set(rows.filter(pl.col("method") == "examples")["n_steer"]) == {0, 2}


def test_every_method_answers_the_same_statements():
    _, rows = measure(RuleModels(), world(4), methods=ALL, n_steer=(2, 4))
    cells = rows.group_by("method", "n_steer").agg(
        pl.struct("repeat", "steered_persona_id", "test_persona_id", "statement_id").sort()
    )
    first = cells["repeat"][0].to_list()
    assert all(other.to_list() == first for other in cells["repeat"])


def test_steering_by_description_makes_the_persona_and_none_does_not():
    _, rows = measure(RuleModels(), world(8))
    own = rows.filter(pl.col("steered_persona_id") == pl.col("test_persona_id"))
    accuracy = dict(own.group_by("method").agg(pl.col("correct").mean()).iter_rows())
    assert accuracy["description"] == 1.0
    assert accuracy["none"] == 0.5
    assert accuracy["always_agree"] == 0.5


def test_a_question_is_asked_once_for_all_rows_that_share_it():
    models = RuleModels()
    _, rows = measure(models, world(6), methods=("none", "examples"), n_steer=(0, 4), repeats=2)
    assert len(models.asked) == len(set(models.asked))
    none = rows.filter(pl.col("method") == "none")
    assert none.group_by("statement_id").agg(pl.col("request_id").n_unique())["request_id"].max() == 1
    without = rows.filter((pl.col("method") == "examples") & (pl.col("n_steer") == 0))
    assert without["request_id"].to_list() == none["request_id"].to_list()


def test_requests_stand_in_the_order_of_their_prefixes():
    models = RuleModels()
    measure(models, world(5))
    prefixes = [request.messages[:-1] for request in models.asked]
    changes = sum(one != two for one, two in itertools.pairwise(prefixes))
    assert changes == len(set(prefixes)) - 1


def test_chunks_change_nothing(monkeypatch):
    whole = RuleModels()
    _, expected = measure(whole, world(4))
    monkeypatch.setattr(respond_module, "CHUNK", 40)
    parts = RuleModels()
    _, rows = measure(parts, world(4))
    assert len(whole.calls) == 1
    assert max(parts.calls) <= 40
    assert rows.equals(expected)


def test_all_variants_of_the_question_are_asked_and_averaged():
    models = RuleModels()
    _, rows = measure(models, world(4))
    variants = len(PROMPTS.question.variants)
    asked = rows.filter(pl.col("estimator") == "logprobs")
    assert set(asked["n_variants"]) == {variants}
    assert (asked["p_variants"].list.mean() - asked["p_agree"]).abs().max() < 1e-12
    assert (asked["request_ids"].list.first() == asked["request_id"]).all()
    assert set(asked["request_ids"].list.len()) == {variants}
    assert asked["correct"].to_list() == ((asked["p_agree"] > 0.5) == asked["agree"]).to_list()


def test_a_void_variant_is_left_out_of_the_mean_and_stays_null():
    def fail(request):
        return Status.VOID if "no or yes" in request.messages[-1].content else Status.OK

    _, rows = measure(RuleModels(fail=fail), world(4))
    asked = rows.filter(pl.col("estimator") == "logprobs")
    assert set(asked["n_variants"]) == {2}
    assert set(asked["status"]) == {"ok"}
    assert set(asked["p_variants"].list.eval(pl.element().is_null().sum()).list.first()) == {2}
    assert asked["p_agree"].null_count() == 0


@pytest.mark.parametrize("status", [Status.VOID, Status.REFUSAL, Status.GAVE_UP])
def test_without_any_answer_the_row_has_a_status_and_no_number(status):
    _, rows = measure(RuleModels(fail=lambda _: status), world(4))
    asked = rows.filter(pl.col("estimator") == "logprobs")
    assert set(asked["status"]) == {str(status)}
    assert asked.select("p_agree", "correct", "mass").null_count().row(0) == (asked.height,) * 3
    cells = matrix(asked)
    assert set(cells["n"]) == {0}
    assert cells.select("accuracy", "margin").null_count().row(0) == (cells.height,) * 2


def test_different_failures_of_one_question_are_void():
    def fail(request):
        return Status.REFUSAL if "no or yes" in request.messages[-1].content else Status.GAVE_UP

    _, rows = measure(RuleModels(fail=fail), world(4))
    assert set(rows.filter(pl.col("estimator") == "logprobs")["status"]) == {"void"}


def test_too_little_mass_is_void():
    _, rows = measure(RuleModels(mass=0.3), world(4))
    asked = rows.filter(pl.col("estimator") == "logprobs")
    assert set(asked["status"]) == {"void"}
    assert asked["mass"].to_list() == pytest.approx([0.3] * asked.height)
    assert asked["p_agree"].is_null().all()


def test_a_description_that_the_model_did_not_write_fails_its_cells_alone():
    models = RuleModels(describes=Status.REFUSAL)
    _, rows = measure(models, world(4), methods=("none", "inferred_description"))
    status = dict(rows.group_by("method").agg(pl.col("status").unique()).iter_rows())
    assert status["inferred_description"] == ["refusal"]
    assert status["none"] == ["ok"]


def test_inferred_descriptions_steer_by_what_the_examples_show():
    _, rows = measure(RuleModels(), world(8), methods=("none", "inferred_description"), n_steer=(8,))
    own = rows.filter(
        (pl.col("steered_persona_id") == pl.col("test_persona_id")) & (pl.col("method") == "inferred_description")
    )
    assert own["correct"].mean() > 0.85


def test_text_of_personas_and_statements_is_never_formatted_again():
    personas, statements = frames(2)
    strange = "order-high {statement} {description} {{x}} %s"
    personas = personas.with_columns(description=pl.lit(strange))
    statements = statements.with_columns(pl.col("text") + " {name} {agree}")
    models = RuleModels()
    measure(models, people(personas, statements), methods=ALL)
    texts = [message.content for request in models.asked for message in request.messages]
    assert any(strange in text for text in texts)
    assert any(text.count("{name} {agree}") == 1 for text in texts)


def test_references_answer_without_a_model():
    models = RuleModels()
    _, rows = measure(models, world(4), methods=("none",), n_steer=(4,))
    references = rows.filter(pl.col("estimator") == "reference")
    assert set(references["method"]) == {"always_agree", "coin", "bag_of_words"}
    assert set(references["request_id"]) == {""}
    assert set(references["status"]) == {"ok"}
    assert set(references.filter(pl.col("method") == "coin")["p_agree"]) == {0.0, 1.0}
    words = references.filter(pl.col("method") == "bag_of_words")
    own = words.filter(pl.col("steered_persona_id") == pl.col("test_persona_id"))
    assert own["correct"].mean() > 0.6


def test_the_same_seed_gives_the_same_rows():
    one, two = (measure(RuleModels(), world(5), methods=ALL)[1] for _ in range(2))
    assert one.equals(two)


def test_the_count_of_requests_is_an_upper_bound_that_is_met_without_shared_prefixes():
    models = RuleModels()
    measurement, _ = measure(models, world(8), methods=("none", "name", "description", "examples"), n_steer=(4,))
    assert len(models.asked) == count_requests(measurement)


def test_progress_counts_all_requests(monkeypatch):
    monkeypatch.setattr(respond_module, "CHUNK", 64)
    seen = []
    shifted = respond_module._shifted(lambda done, total: seen.append((done, total)), 64, 200)
    shifted(10, 64)
    assert seen == [(74, 200)]
    assert respond_module._shifted(None, 0, 1) is None


def test_margin_is_the_mean_log_odds_of_the_right_answer():
    rows = pl.DataFrame(
        {
            "model": ["m"] * 4,
            "iteration": [0] * 4,
            "method": ["x"] * 4,
            "n_steer": [0] * 4,
            "steered_persona_id": ["p"] * 4,
            "test_persona_id": ["q"] * 4,
            "agree": [True, False, True, True],
            "p_agree": [0.8, 0.8, 1.0, None],
            "correct": [True, False, True, None],
        }
    )
    cell = matrix(rows).row(0, named=True)
    assert cell["n"] == 3
    assert cell["n_void"] == 1
    assert cell["accuracy"] == pytest.approx(2 / 3)
    assert cell["margin"] == pytest.approx((math.log(4) - math.log(4) + MAX_LOG_ODDS) / 3)
    assert list(cell) == [column.name for column in MATRIX.columns]
    assert np.isfinite(cell["margin"])
