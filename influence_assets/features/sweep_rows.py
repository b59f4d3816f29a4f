"""From the answers of a sweep to `features.steering` and `features.dose_response`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.dose import dose_response, specificity, z_against_null
from influence_assets.features.dose_checks import (
    FrontierPoint,
    TowardChance,
    frontier,
    regresses_to_chance,
    toward_chance,
)
from influence_assets.features.item_scores import ItemTable
from influence_assets.features.settings import SteeringSettings
from influence_assets.features.steering_tables import DoseRow, SteeringRow
from influence_assets.features.sweep import LOW, RANDOM, SHUFFLED, Subject, Trial
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint
from influence_assets.stats.resampling import bootstrap_mean
from resources.steering import Positions

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a condition costs on neutral text; None where it was not measured."""

    kl: float | None = None
    nll: float | None = None
    repetition: float | None = None


@dataclass(frozen=True)
class Sweep:
    """Everything that came of a sweep: per item scores by condition, costs by condition, and the design."""

    checkpoint: Checkpoint
    settings: SteeringSettings
    reference: float
    traits: tuple[str, ...]
    items: ItemTable
    costs: Mapping[str, Cost]
    draws: int
    seed: int

    def shift(self, subject: Subject, coefficient: float, trait: str) -> float:
        """Mean shift of one trait's items; nan where they were not asked or none counts."""
        return _nanmean(self.shifts(subject.name(coefficient), trait))

    def shifts(self, condition: str, trait: str) -> Floats:
        """Per item: P(high) under the condition less that of the unsteered model; nan where one is void."""
        return self.items.p_high(condition, trait) - self.items.p_high(UNSTEERED.name, trait)


def steering_rows(sweep: Sweep, trials: Sequence[Trial]) -> list[SteeringRow]:
    """Rows of `features.steering`: one per trial and trait."""
    return [_steering_row(sweep, trial, trait) for trial in trials for trait in trial.traits]


def dose_rows(sweep: Sweep, subjects: Sequence[Subject]) -> list[DoseRow]:
    """Rows of `features.dose_response`: every tried direction or prompt of a trait, on that trait."""
    nulls = {method: [subject for subject in subjects if subject.method == method] for method in (RANDOM, SHUFFLED)}
    return [
        _dose_row(sweep, subject, nulls)
        for subject in subjects
        if subject.factor in sweep.traits and not subject.is_null
    ]


def _steering_row(sweep: Sweep, trial: Trial, trait: str) -> SteeringRow:
    subject = trial.subject
    condition = subject.name(trial.coefficient)
    shift_N = sweep.shifts(condition, trait)
    known_N = shift_N[np.isfinite(shift_N)]
    shift = bootstrap_mean(known_N, draws=sweep.draws, seed=sweep.seed) if known_N.size else (math.nan,) * 3
    p_N = sweep.items.p_high(condition, trait)
    cost = sweep.costs.get(condition, Cost())
    steered = subject.row is not None
    return SteeringRow(
        model=sweep.checkpoint.model,
        iteration=sweep.checkpoint.iteration,
        direction_id=subject.row.direction_id if subject.row is not None else None,
        factor=subject.factor,
        category=subject.category,
        method=subject.method,
        index=subject.index,
        condition=condition,
        coefficient=trial.coefficient,
        positions=(sweep.settings.positions if steered else Positions.ALL).value,
        mode=sweep.settings.mode.value if steered else "prompt",
        trait=trait,
        score=_or_none(_nanmean(p_N)),
        shift=_or_none(shift[0]),
        ci_low=_or_none(shift[1]),
        ci_high=_or_none(shift[2]),
        mass=_or_none(sweep.items.mass(condition, trait)),
        kl=cost.kl,
        nll=cost.nll,
        repetition=cost.repetition,
        n=int(known_N.size),
        n_void=int(shift_N.size - known_N.size),
    )


def _dose_row(sweep: Sweep, subject: Subject, nulls: Mapping[str, Sequence[Subject]]) -> DoseRow:
    """The curve of the subject's own pole: of P(high), or of P(low) for the low one, so that up is always its way."""
    trait, settings, sign = subject.factor, sweep.settings, -1.0 if subject.category == LOW else 1.0
    coefficients = _coefficients(sweep, subject, trait)
    reference = sweep.reference if subject.row is not None else 0.0
    high_C_N = np.array([sweep.items.p_high(_condition(subject, c), trait) for c in coefficients])
    own_C_N = high_C_N if sign > 0 else 1.0 - high_C_N
    curve = dose_response(np.array(coefficients), own_C_N, draws=sweep.draws, seed=sweep.seed) if subject.row else None
    at_N = sign * sweep.shifts(subject.name(reference), trait)
    known_N = at_N[np.isfinite(at_N)]
    shift = bootstrap_mean(known_N, draws=sweep.draws, seed=sweep.seed) if known_N.size else (math.nan,) * 3
    random = _null(sweep, nulls[RANDOM], trait)
    shuffled = _null(sweep, [one for one in nulls[SHUFFLED] if one.factor == trait], trait)
    within = _within(sweep, subject, coefficients, own_C_N)
    ends = _ends(sweep, own_C_N, coefficients) if curve else None
    return DoseRow(
        model=sweep.checkpoint.model,
        iteration=sweep.checkpoint.iteration,
        direction_id=subject.row.direction_id if subject.row is not None else None,
        factor=subject.factor,
        category=subject.category,
        method=subject.method,
        index=subject.index,
        trait=trait,
        n_coefficients=len(coefficients),
        spearman=_or_none(curve.spearman if curve else math.nan),
        slope=_or_none(curve.slope_logits if curve else math.nan),
        wrong_way=_or_none(curve.wrong_way if curve else math.nan),
        reference=reference,
        shift=_or_none(shift[0]),
        ci_low=_or_none(shift[1]),
        ci_high=_or_none(shift[2]),
        kl=sweep.costs.get(subject.name(reference), Cost()).kl,
        z=_or_none(z_against_null(shift[0], random)),
        z_shuffled=_or_none(z_against_null(shift[0], shuffled)),
        n_null=int(np.isfinite(random).sum()),
        specificity=_or_none(_specificity(sweep, subject, reference)),
        shift_at_kl=_or_none(within.shift),
        coefficient_at_kl=_or_none(within.coefficient),
        kl_bound=settings.kl_bound,
        toward_chance=_or_none(ends[0].scores.value if ends else math.nan),
        damage=regresses_to_chance(*ends) if ends else None,
        n=int(known_N.size),
    )


def _within(sweep: Sweep, subject: Subject, coefficients: Sequence[float], own_C_N: Floats) -> FrontierPoint:
    """The largest shift toward the own pole whose KL is within the bound; a prompt is one point."""
    if subject.row is None:
        kl, shift = _kl(sweep, subject, 0.0), _nanmean(own_C_N[0] - _unsteered(sweep, subject))
        return FrontierPoint(0.0, shift, kl) if kl <= sweep.settings.kl_bound else FrontierPoint(*[math.nan] * 3)
    rows = [row for row, c in enumerate(coefficients) if c >= 0]
    base_N = own_C_N[coefficients.index(0.0)]
    shift_C = np.array([_nanmean(own_C_N[row] - base_N) for row in rows])
    kl_C = np.array([_kl(sweep, subject, coefficients[row]) for row in rows])
    return frontier(np.array([coefficients[row] for row in rows]), shift_C, kl_C, bound=sweep.settings.kl_bound)


def _unsteered(sweep: Sweep, subject: Subject) -> Floats:
    high_N = sweep.items.p_high(UNSTEERED.name, subject.factor)
    return 1.0 - high_N if subject.category == LOW else high_N


def _coefficients(sweep: Sweep, subject: Subject, trait: str) -> list[float]:
    """The coefficients at which the subject was tried on the trait, 0 among them; a prompt has none but 0."""
    if subject.row is None:
        return [0.0]
    return [c for c in sweep.settings.coefficients if not c or sweep.items.has(subject.name(c), trait)]


def _condition(subject: Subject, coefficient: float) -> str:
    return subject.name(coefficient) if coefficient or subject.row is None else UNSTEERED.name


def _kl(sweep: Sweep, subject: Subject, coefficient: float) -> float:
    if subject.row is not None and not coefficient:
        return 0.0
    kl = sweep.costs.get(subject.name(coefficient), Cost()).kl
    return math.nan if kl is None else kl


def _null(sweep: Sweep, subjects: Sequence[Subject], trait: str) -> Floats:
    """Shifts of control directions at the reference coefficient."""
    return np.array([sweep.shift(one, sweep.reference, trait) for one in subjects])


def _specificity(sweep: Sweep, subject: Subject, reference: float) -> float:
    """|own shift| over the mean |shift| of the other traits; nan with no other trait."""
    order = [subject.factor, *(trait for trait in sweep.traits if trait != subject.factor)]
    asked = [trait for trait in order if sweep.items.has(subject.name(reference), trait)]
    if len(asked) < 2 or asked[0] != subject.factor:
        return math.nan
    shift_T_T = np.full((len(asked), len(asked)), math.nan)
    shift_T_T[0] = [sweep.shift(subject, reference, trait) for trait in asked]
    return float(specificity(shift_T_T)[0])


def _ends(sweep: Sweep, own_C_N: Floats, coefficients: Sequence[float]) -> tuple[TowardChance, TowardChance]:
    """At the largest coefficients of both signs."""
    base_N = own_C_N[coefficients.index(0.0)]
    largest, smallest = (
        toward_chance(base_N, own_C_N[coefficients.index(end)], draws=sweep.draws, seed=sweep.seed)
        for end in (max(coefficients), min(coefficients))
    )
    return largest, smallest


def _nanmean(values_N: Floats) -> float:
    return float(np.nanmean(values_N)) if np.isfinite(values_N).any() else math.nan


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
