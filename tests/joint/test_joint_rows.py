"""Profile, drift and what moves with harm, from rows whose answers are known by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from influence_assets.joint import plots
from influence_assets.joint.drift import drift_rows, harm_moves
from influence_assets.joint.gathered import Gathered
from influence_assets.joint.profile import profile_rows
from influence_assets.joint.records import DriftRow
from influence_assets.joint.tables import CHECKPOINT_PROFILE, DRIFT, MOVES_WITH_HARM
from influence_assets.rows import to_frame
from tests.joint.joint_world import PLACES, STATES, answers, gathered


@pytest.fixture(scope="module")
def world() -> Gathered:
    return gathered()


def find(rows: list[DriftRow], measure: str, subject: str = "", kind: str = "all") -> DriftRow:
    (row,) = [row for row in rows if (row.measure, row.subject, row.user_kind) == (measure, subject, kind)]
    return row


def test_the_drift_is_the_difference_of_the_profile(world: Gathered) -> None:
    profile = {(row.iteration, row.measure, row.subject, row.user_kind): row.value for row in profile_rows(world)}
    rows = drift_rows(world)
    assert {(row.measure, row.subject, row.user_kind) for row in rows} == {key[1:] for key in profile}
    for row in rows:
        key = (row.measure, row.subject, row.user_kind)
        before, after = profile[0, *key], profile[1, *key]
        assert before is not None
        assert after is not None
        assert row.change == pytest.approx(after - before)


def test_changes_are_those_that_the_world_was_made_with(world: Gathered) -> None:
    rows = drift_rows(world)
    assert find(rows, "reward").change == pytest.approx(1.0)
    assert find(rows, "harm", kind="vulnerable").change == pytest.approx(0.1)
    assert find(rows, "targeting_gap").change == pytest.approx(0.0)
    assert find(rows, "trait_score", "warmth").change == pytest.approx(0.1)
    assert find(rows, "trait_score", "nerve").change == pytest.approx(0.0)
    assert find(rows, "projection_replies", "warmth").change == pytest.approx(0.1)
    assert find(rows, "projection_words", "warmth").change == pytest.approx(0.05)
    assert find(rows, "projection_neutral", "nerve").change == pytest.approx(-0.1)
    sensitivity = find(rows, "sensitivity", "description")
    assert (sensitivity.resampled, sensitivity.n, sensitivity.n_resampled) == ("personas", 4, 4)
    replies = find(rows, "projection_replies", "warmth")
    assert (replies.resampled, replies.n_resampled) == ("environments", len(PLACES))
    assert replies.n == len(PLACES) * STATES


def test_replies_are_also_read_by_kind_of_user(world: Gathered) -> None:
    by_kind = [find(drift_rows(world), "projection_replies", "warmth", kind) for kind in ("ordinary", "vulnerable")]
    assert [row.change for row in by_kind] == pytest.approx([0.1, 0.1])
    assert sum(row.n for row in by_kind) == len(PLACES) * STATES
    assert {row.resampled for row in by_kind} == {"initial states"}, "fewer than six environments hold one kind"


def test_a_change_is_compared_with_that_of_control_directions(world: Gathered) -> None:
    rows = drift_rows(world)
    for subject, z in (("warmth", 5.0), ("nerve", -5.0)):  # .1 against a root mean square of .02
        row = find(rows, "projection_neutral", subject)
        assert (row.z_random, row.z_shuffled) == pytest.approx((z, z))
    assert find(rows, "reward").z_random is None


def test_equal_changes_of_all_pairs_have_no_effect_size_and_others_are_change_over_spread(world: Gathered) -> None:
    rows = drift_rows(world)
    reward, harm = find(rows, "reward"), find(rows, "harm")
    assert reward.spread == 0
    assert reward.effect is None
    moves = np.tile(0.1 * np.arange(STATES), len(PLACES))
    assert harm.spread == pytest.approx(moves.std(ddof=1))
    assert harm.effect == pytest.approx(moves.mean() / moves.std(ddof=1))


def test_p_values_are_adjusted_over_all_rows(world: Gathered) -> None:
    rows = drift_rows(world)
    adjusted = multipletests([row.p for row in rows], method="fdr_bh")[1]
    assert [row.p_adjusted for row in rows] == pytest.approx(list(adjusted))


def test_what_rises_with_harm_is_told_from_what_falls_and_trait_items_have_no_row(world: Gathered) -> None:
    moves = {(move.measure, move.subject): move for move in harm_moves(world)}
    read = {(f"projection_{reader}", trait) for reader in ("replies", "words") for trait in ("warmth", "nerve")}
    assert set(moves) == {*read, ("reward", "")}
    assert moves["projection_replies", "warmth"].correlation == pytest.approx(1.0)
    assert moves["projection_replies", "nerve"].correlation == pytest.approx(-1.0)
    assert moves["projection_replies", "nerve"].n == len(PLACES) * STATES
    assert moves["reward", ""].correlation is None, "the reward of every state rose by the same"


def test_void_items_pair_with_nothing(world: Gathered) -> None:
    lacking = replace(world, answers={0: world.answers[0], 1: answers(1, void=("warmth0", "warmth1"))})
    assert find(drift_rows(lacking), "trait_score", "warmth").n == 3
    assert find(drift_rows(lacking), "trait_score", "nerve").n == 5
    none = replace(world, answers={0: world.answers[0], 1: answers(1, void=tuple(f"warmth{i}" for i in range(5)))})
    assert not [row for row in drift_rows(none) if (row.measure, row.subject) == ("trait_score", "warmth")]


def test_other_items_or_statements_are_refused(world: Gathered) -> None:
    with pytest.raises(ValueError, match="same trait items"):
        drift_rows(replace(world, answers={0: world.answers[0], 1: answers(1, n_items=4)}))
    fewer = world.responses[1].filter(
        ~world.responses[1]["statement_id"].is_in([world.responses[1]["statement_id"][0]])
    )
    with pytest.raises(ValueError, match="same personas and statements"):
        drift_rows(replace(world, responses={0: world.responses[0], 1: fewer}))


def test_without_training_there_is_a_profile_and_no_drift() -> None:
    alone = gathered((0,))
    assert {row.iteration for row in profile_rows(alone)} == {0}
    assert drift_rows(alone) == harm_moves(alone) == []
    assert plots.drift(to_frame(DRIFT, []), title="m").startswith(b"\x89PNG")


def test_without_an_inside_there_are_no_projections_and_all_else(world: Gathered) -> None:
    outside = replace(world, projections=world.projections.clear())
    measures = {row.measure for row in drift_rows(outside)}
    assert {"sensitivity", "gain", "trait_score", "harm"} <= measures
    assert not {one for one in measures if one.startswith("projection")}
    assert {move.measure for move in harm_moves(outside)} == {"reward"}


def test_rows_fit_their_tables_and_the_picture_is_drawn(world: Gathered) -> None:
    assert to_frame(CHECKPOINT_PROFILE, profile_rows(world)).select(CHECKPOINT_PROFILE.key).is_unique().all()
    rows = to_frame(DRIFT, drift_rows(world))
    assert rows.select(DRIFT.key).is_unique().all()
    assert to_frame(MOVES_WITH_HARM, harm_moves(world)).height == 5
    low, change, high = (rows[name].fill_null(math.nan).to_numpy() for name in ("ci_low", "change", "ci_high"))
    assert ((low <= change) & (change <= high)).all()
    first, again = plots.drift(rows, title="$m$"), plots.drift(rows, title="$m$")
    assert first == again
    assert first != plots.drift(rows.head(3), title="$m$")
