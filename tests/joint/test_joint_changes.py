"""Laws of paired changes, of the smaller design, and of settings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from influence_assets.joint.changes import Clusters, Resampled, paired_change, spread_of
from influence_assets.joint.settings import JointSettings
from influence_assets.joint.smaller_design import evenly, smaller_design
from influence_assets.joint.steerability import steerability_changes, steerability_scores
from influence_assets.study import Study, load_study
from tests.joint.joint_world import responses
from tests.steerability.steering_world import frames

ROOT = Path(__file__).parents[2]
PAIRS = st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=12)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
@example([(1.304853523674713, 4.0)] * 3)
def test_the_way_back_is_the_way_there_with_its_sign_turned(pairs: list[tuple[float, float]]) -> None:
    base, then = np.array(pairs).T
    clusters = Clusters.single(len(pairs), Resampled.ITEMS)
    there = paired_change(then, base, clusters, draws=100, seed=0)
    back = paired_change(base, then, clusters, draws=100, seed=0)
    assert back.interval.value == pytest.approx(-there.interval.value)
    assert back.p == there.p
    assert back.spread == pytest.approx(there.spread)
    assert there.interval.low <= there.interval.value <= there.interval.high
    if not math.isnan(there.effect):
        assert there.effect == pytest.approx(there.interval.value / float(np.std(then - base, ddof=1)), rel=1e-6)


def test_no_change_is_no_change() -> None:
    same = paired_change(np.arange(5.0), np.arange(5.0), Clusters.single(5, Resampled.TEXTS), draws=100, seed=0)
    assert same.interval == (0, 0, 0)
    assert same.p == 1
    assert math.isnan(same.effect)


def test_spread_is_pooled_within_groups() -> None:
    one, two = np.array([0.0, 2.0, 4.0]), np.array([10.0, 11.0])
    assert spread_of(one, two) == pytest.approx(math.sqrt((2 * one.var(ddof=1) + two.var(ddof=1)) / 3))
    assert math.isnan(spread_of(np.array([1.0])))
    assert spread_of(np.full(4, 0.1 + 0.2) - 0.3) == 0


def test_environments_are_clusters_where_there_are_six_of_them() -> None:
    def rows(environments: int) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "environment": [f"e{e}" for e in range(environments) for _ in range(4)],
                "initial_state_id": [f"s{s // 2}" for _ in range(environments) for s in range(4)],
            }
        )

    many, few = Clusters.of_conversations(rows(6)), Clusters.of_conversations(rows(5))
    assert (many.kind, many.n) == (Resampled.ENVIRONMENTS, 6)
    assert (few.kind, few.n) == (Resampled.STATES, 10)


def test_the_same_answers_change_no_score_and_turning_the_checkpoints_round_turns_the_change() -> None:
    before, after = responses(0), responses(1)
    for _, _, change in steerability_changes(before, before, draws=100, seed=0):
        assert change.interval == (0, 0, 0)
    there = list(steerability_changes(before, after, draws=100, seed=0))
    back = list(steerability_changes(after, before, draws=100, seed=0))
    assert {method for _, method, _ in there} == {"description"}
    for (score, _, one), (other, _, two) in zip(there, back, strict=True):
        assert score is other
        assert two.interval == pytest.approx((-one.interval.value, -one.interval.high, -one.interval.low))
    values = [
        {score: estimate.overall.value for score, _, estimate in steerability_scores(rows, draws=100, seed=0)}
        for rows in (before, after)
    ]
    for score, _, change in there:
        assert change.interval.value == pytest.approx(values[1][score] - values[0][score])


@given(st.integers(1, 40), st.integers(1, 50))
def test_evenly_takes_n_different_ones_in_order(size: int, n: int) -> None:
    ids = [f"{i:02d}" for i in range(size)]
    chosen = evenly(ids, n)
    assert len(chosen) == min(size, n)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == ids[0]


def test_the_smaller_design_is_a_part_of_the_whole_without_reference_points() -> None:
    study: Study = load_study(ROOT / "data" / "study.yaml")
    joint = JointSettings(personas=3, test_per_persona=2)
    personas, statements = frames(n_personas=8)
    prompts = ROOT / "data" / "prompts" / "steerability"
    small = smaller_design(personas, statements, study.model_copy(update={"joint": joint}), prompts)
    large = smaller_design(
        personas, statements, study.model_copy(update={"joint": JointSettings(personas=8, test_per_persona=8)}), prompts
    )
    assert [method.name for method in small.methods] == ["none", "description"]

    def asked(design) -> set[tuple[str, str]]:  # type: ignore[no-untyped-def]
        who, cells = design.people, design.cells
        return {
            (who.personas[p].persona_id, who.statement_ids[s])
            for p, s in zip(cells.steered_R.tolist(), cells.statement_R.tolist(), strict=True)
        }

    assert asked(small) < asked(large)
    assert len(small.people.personas) == 3


@pytest.mark.parametrize("methods", [["description"], ["none"], []])
def test_settings_ask_for_a_comparison(methods: list[str]) -> None:
    with pytest.raises(ValidationError, match="must hold none"):
        JointSettings.model_validate({"methods": methods})
    assert yaml.safe_load((ROOT / "data" / "study.yaml").read_text())["joint"]["methods"] == ["none", "description"]
