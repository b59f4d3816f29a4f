"""From known scores of items to rows: shifts, z, specificity, the low pole's curve, damage, and what a push costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import pearsonr

from influence_assets.features.item_scores import ItemTable
from influence_assets.features.settings import SteeringSettings
from influence_assets.features.steering_tables import DoseRow, SteeringRow
from influence_assets.features.sweep import PROMPT, RANDOM, SHUFFLED, Subject, Trial, trials_of
from influence_assets.features.sweep_rows import Cost, Sweep, dose_rows, steering_rows
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint
from tests.features.sweep_cases import TRAITS, subject
from tests.features.test_item_scores import answers

C = (-0.4, -0.2, 0.0, 0.2, 0.4)
SETTINGS = SteeringSettings(coefficients=C, kl_bound=0.1)
REFERENCE = 0.4
WARMTH, PRIDE, _ = TRAITS
BASE = {trait: np.linspace(0.2, 0.6, 8) + 0.01 * number for number, trait in enumerate(TRAITS)}
HIGH, LOW = (subject(WARMTH, category, "probe") for category in ("high", "low"))
ASKED = Subject(WARMTH, "high", PROMPT)
NULLS = [subject("", "", RANDOM, index) for index in range(4)]
SHUFFLES = [subject(WARMTH, "high", SHUFFLED, index) for index in range(2)]
SUBJECTS = [HIGH, LOW, ASKED, *NULLS, *SHUFFLES]
TRIALS = trials_of(SUBJECTS, SETTINGS, REFERENCE, TRAITS)


def moved(subject: Subject, c: float, trait: str) -> np.ndarray:
    """P(high) under a trial: the own pole gains .5 c; other traits .05 c; random vectors a little that is theirs."""
    per_c = 0.5 if trait == subject.factor else 0.05
    if subject.method == RANDOM:
        per_c = 0.02 * (1 + subject.index)
    if subject.method == SHUFFLED:
        per_c = 0.03 * (subject.index - 1)
    if subject.method == PROMPT:
        per_c, c = 1.0, 0.15
    return BASE[trait] + (-1 if subject.category == "low" else 1) * per_c * c


def swept(
    trials: Sequence[Trial] = TRIALS, scores: Mapping[tuple[str, float], Sequence[float | None]] | None = None
) -> Sweep:
    """`scores` replace the scores on the trait warmth of the named subjects' conditions."""
    rows = [one for trait in TRAITS for one in answers(UNSTEERED.name, BASE[trait].tolist(), trait)]
    costs = {}
    for trial in trials:
        name = trial.subject.name(trial.coefficient)
        costs[name] = Cost(kl=trial.coefficient**2, nll=2.0, repetition=0.25)
        for trait in trial.traits:
            found: Sequence[float | None] = moved(trial.subject, trial.coefficient, trait).tolist()
            if trait == WARMTH and scores:
                found = scores.get((trial.subject.name(0.0), trial.coefficient), found)
            rows += answers(name, found, trait)
    table = ItemTable.of(rows, min_mass=0.5)
    return Sweep(Checkpoint("m", 2), SETTINGS, REFERENCE, TRAITS, table, costs, 200, 0)


def dose(sweep: Sweep, subject: Subject) -> DoseRow:
    found = [row for row in dose_rows(sweep, SUBJECTS) if (row.category, row.method) == _key(subject)]
    assert len(found) == 1
    return found[0]


def _key(subject: Subject) -> tuple[str, str]:
    return subject.category, subject.method


def test_shifts_are_the_known_ones_with_paired_intervals() -> None:
    sweep = swept()
    rows = steering_rows(sweep, TRIALS)
    assert len(rows) == sum(len(trial.traits) for trial in TRIALS)
    by_key = {(row.condition, row.trait): row for row in rows}
    assert len(by_key) == len(rows)
    for trial in TRIALS:
        for trait in trial.traits:
            row = by_key[trial.subject.name(trial.coefficient), trait]
            shift = float((moved(trial.subject, trial.coefficient, trait) - BASE[trait]).mean())
            assert row.shift == pytest.approx(shift, abs=1e-12)
            # Every item moves alike, and pairing leaves no spread.
            assert (row.ci_low, row.ci_high) == (pytest.approx(shift, abs=1e-9), pytest.approx(shift, abs=1e-9))
            assert row.score == pytest.approx(float(BASE[trait].mean()) + shift)
            assert (row.n, row.n_void, row.iteration, row.mass) == (8, 0, 2, pytest.approx(0.9))
            assert (row.kl, row.nll, row.repetition) == (pytest.approx(trial.coefficient**2), 2.0, 0.25)
    assert {row.mode for row in rows} == {"add", "prompt"}
    assert all((row.direction_id is None) == (row.method == PROMPT) for row in rows)


def test_the_curve_of_a_direction_has_its_controls_beside_it() -> None:
    sweep = swept()
    row = dose(sweep, HIGH)
    assert (row.n_coefficients, row.spearman, row.wrong_way) == (5, pytest.approx(1.0), 0.0)
    level_C = BASE[WARMTH].mean() + 0.5 * np.array(C)
    assert row.slope == pytest.approx(np.polyfit(C, logit(level_C), 1)[0])
    assert (row.shift, row.reference) == (pytest.approx(0.2), REFERENCE)
    for method, z in ((RANDOM, row.z), (SHUFFLED, row.z_shuffled)):
        null = [
            float((moved(trial.subject, trial.coefficient, WARMTH) - BASE[WARMTH]).mean())
            for trial in TRIALS
            if trial.subject.method == method
        ]
        assert z == pytest.approx((0.2 - np.mean(null)) / np.std(null, ddof=1))
        assert method == SHUFFLED or row.n_null == len(null) >= 4
    assert row.specificity == pytest.approx(0.5 / 0.05)
    assert row.kl == pytest.approx(REFERENCE**2)
    assert row.damage is False


def test_a_shift_counts_within_the_bound_of_cost() -> None:
    """KL is c squared, known at 0, .2 and .4 and straight between: .1 is reached at half of the second stretch."""
    row = dose(swept(), HIGH)
    assert row.coefficient_at_kl == pytest.approx(0.3)
    assert row.shift_at_kl == pytest.approx(0.15)
    assert row.kl_bound == 0.1


def test_the_low_pole_is_the_high_one_in_a_mirror() -> None:
    """Pushed toward low the items fall, and that is its own way."""
    sweep = swept(trials_of([HIGH, LOW, *NULLS], SETTINGS, REFERENCE, TRAITS))
    row = dose(sweep, LOW)
    assert (row.n_coefficients, row.reference) == (3, REFERENCE), "tried at the reference alone, and at 0"
    assert row.shift == pytest.approx(0.2)
    assert row.ci_low == pytest.approx(0.2)
    assert row.spearman == pytest.approx(1.0)
    assert row.slope is not None
    assert row.slope > 0
    assert row.wrong_way == 0.0
    (steering,) = [
        one for one in steering_rows(sweep, [Trial(LOW, REFERENCE, (WARMTH,))]) if one.condition == LOW.name(REFERENCE)
    ]
    assert steering.shift == pytest.approx(-0.2), "the table of conditions is of P(high) always"


def test_a_prompt_is_one_point_of_no_strength() -> None:
    row = dose(swept(), ASKED)
    assert (row.direction_id, row.reference, row.n_coefficients) == (None, 0.0, 1)
    assert row.shift == pytest.approx(0.15)
    assert (row.shift_at_kl, row.coefficient_at_kl) == (pytest.approx(0.15), 0.0)
    assert (row.spearman, row.slope, row.damage) == (None, None, None)
    # Random vectors at the reference are what any text or vector is held against.
    assert row.z is not None


def test_a_model_that_loses_the_question_is_damaged() -> None:
    """At both ends all logits shrink toward 0, whatever the sign; a steered one moves all logits alike."""
    lost = {
        (HIGH.name(0.0), c): expit(logit(BASE[WARMTH]) * (1 - abs(c)) + 0.01 * np.cos(np.arange(8))).tolist() for c in C
    }
    row = dose(swept(scores=lost), HIGH)
    assert row.damage is True
    shift = np.array(lost[HIGH.name(0.0), 0.4]) - BASE[WARMTH]
    assert row.toward_chance == pytest.approx(pearsonr(shift, 0.5 - BASE[WARMTH])[0])
    steered = {(HIGH.name(0.0), c): expit(logit(BASE[WARMTH]) + 3 * c).tolist() for c in C}
    assert dose(swept(scores=steered), HIGH).damage is False


def test_void_items_leave_the_pair_and_nothing_left_is_null() -> None:
    some: list[float | None] = [None, None, *(BASE[WARMTH][2:] + 0.1)]
    sweep = swept(scores={(HIGH.name(0.0), 0.4): some, (HIGH.name(0.0), -0.4): [None] * 8})
    part = _row(steering_rows(sweep, TRIALS), HIGH, 0.4)
    assert (part.n, part.n_void, part.shift) == (6, 2, pytest.approx(0.1))
    none = _row(steering_rows(sweep, TRIALS), HIGH, -0.4)
    assert (none.n, none.n_void) == (0, 8)
    assert (none.shift, none.ci_low, none.ci_high, none.score) == (None, None, None, None)
    row = dose(sweep, HIGH)
    assert (row.shift, row.n) == (pytest.approx(0.1), 6)
    assert all(value is None or not isinstance(value, float) or math.isfinite(value) for value in row_values(row))


def _row(rows: Sequence[SteeringRow], subject: Subject, coefficient: float) -> SteeringRow:
    (found,) = [row for row in rows if row.condition == subject.name(coefficient) and row.trait == WARMTH]
    return found


def row_values(row: DoseRow) -> list[object]:
    return [getattr(row, name) for name in row.__slots__]
