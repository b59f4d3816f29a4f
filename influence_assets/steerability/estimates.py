"""A score of every persona and of all together, with intervals: by bootstrap, or for the coin by tossing it again.

Over personas, the bootstrap draws personas, and each brings its statements and answers with it, so both vary together
as they would in a new study. Drawing statements again within the drawn personas would count their noise twice (trials:
intervals 1.4 times too wide, coverage above .99 instead of .95). For one persona, which is given, statements are drawn
within each label, and the other personas. Every method sees the same draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import Interval, centred, percentile
from influence_assets.steerability import shares
from influence_assets.steerability.tensors import (
    DRAWS_AT_ONCE,
    Draws,
    Floats,
    Run,
    cell_means,
    resampled_cell_means,
)

_BOUNDS = {"gain": (-1.0, 1.0), "leakage": (-1.0, 1.0), "double_centred": (-2.0, 2.0)}


class Estimate(NamedTuple):
    """One score: per persona with the ends of its interval, and over the `n` personas that have it."""

    value_P: Floats
    low_P: Floats
    high_P: Floats
    overall: Interval
    n: int


def persona_scores(accuracy_P_Q: Floats, gain_P_Q: Floats | None, weights_P: Floats) -> dict[str, Floats]:
    """Every score of every persona, shape [..., P], from a matrix (or draws of it) and its gain over `none`."""
    across_Q_P = shares.transposed(accuracy_P_Q)
    result = {
        "accuracy": shares.own(accuracy_P_Q),
        "sensitivity": shares.mid_rank(accuracy_P_Q, weights_P),
        "specificity": shares.mid_rank(across_Q_P, weights_P),
        "identification": shares.won_outright(accuracy_P_Q, weights_P),
        "double_centred": shares.double_centred(accuracy_P_Q, weights_P),
        "compatible_sensitivity": shares.max_rank(accuracy_P_Q, weights_P),
        "compatible_specificity": shares.max_rank(across_Q_P, weights_P),
    }
    if gain_P_Q is not None:
        result["gain"] = shares.own(gain_P_Q)
        result["leakage"] = shares.others_mean(gain_P_Q, weights_P)
    return result


def bootstrapped(run: Run, unsteered: Run | None, drawn: Draws) -> dict[str, Estimate]:
    """Every score of one run. `unsteered` is the run of `none`; without it there is no gain and no leakage."""
    gained = None if unsteered is None else run.correct_R_P_Q_S - unsteered.correct_R_P_Q_S
    accuracy_P_Q = cell_means(run.correct_R_P_Q_S)
    gain_P_Q = None if gained is None else cell_means(gained)
    once_P = np.ones(len(accuracy_P_Q))
    values = persona_scores(accuracy_P_Q, gain_P_Q, once_P)
    means = mean_draws(accuracy_P_Q, gain_P_Q, drawn)
    of_personas: list[dict[str, Floats]] = []
    for chunk in drawn.chunks():
        counts_Q_B_S = drawn.statements_Q_B_S[:, chunk]
        accuracy_B_P_Q = resampled_cell_means(run.correct_R_P_Q_S, counts_Q_B_S)
        gain_B_P_Q = None if gained is None else resampled_cell_means(gained, counts_Q_B_S)
        of_personas.append(persona_scores(accuracy_B_P_Q, gain_B_P_Q, drawn.personas_B_P[chunk]))
    estimates = {}
    for score, value_P in values.items():
        n = int((~np.isnan(value_P)).sum())
        low_P, high_P = centred(value_P, _joined(of_personas, score), bounds=_BOUNDS.get(score, (0.0, 1.0)))
        over_all = overall(float(shares.persona_mean(value_P, once_P)), means[score], n)
        estimates[score] = Estimate(value_P, low_P, high_P, over_all, n)
    return estimates


def mean_draws(accuracy_P_Q: Floats, gain_P_Q: Floats | None, drawn: Draws) -> dict[str, Floats]:
    """[B] draws of the mean of every score over personas, from draws of personas."""
    parts = []
    for chunk in drawn.chunks():
        weights_B_P = drawn.personas_B_P[chunk]
        redrawn = persona_scores(accuracy_P_Q, gain_P_Q, weights_B_P)
        parts.append({score: shares.persona_mean(value, weights_B_P) for score, value in redrawn.items()})
    return {score: _joined(parts, score) for score in parts[0]}


def overall(value: float, mean_B: Floats, n: int) -> Interval:
    """The expanded percentile interval of a mean over `n` personas; none with fewer than two."""
    if n < 2:
        return Interval(value, float("nan"), float("nan"))
    low, high = percentile(mean_B, n_units=n)
    return Interval(value, min(float(low), value), max(float(high), value))


def tossed(run: Run, unsteered: Run | None, *, draws: int, seed: int) -> dict[str, Estimate]:
    """Every score of a coin tossed anew `draws` times in the cells of `run`: means, and where 95 % of the tosses lie.

    One toss of a small matrix lies anywhere, so a single one says little; what is wanted beside a model's score is
    where luck puts it at this number of personas and statements.
    """
    n_P_Q = (~np.isnan(run.correct_R_P_Q_S)).sum(axis=(0, 3))
    base_P_Q = None if unsteered is None else cell_means(unsteered.correct_R_P_Q_S)
    once_P = np.ones(len(n_P_Q))
    parts = []
    for accuracy_B_P_Q in _tosses(n_P_Q, draws, np.random.default_rng(seed)):
        parts.append(persona_scores(accuracy_B_P_Q, None if base_P_Q is None else accuracy_B_P_Q - base_P_Q, once_P))
    estimates = {}
    for score in parts[0]:
        value_B_P = _joined(parts, score)
        mean_B = shares.persona_mean(value_B_P, once_P)
        low_P, high_P = percentile(value_B_P)
        low, high = percentile(mean_B)
        value_P = value_B_P.mean(axis=0)
        band = Interval(float(mean_B.mean()), float(low), float(high))
        estimates[score] = Estimate(value_P, low_P, high_P, band, int((~np.isnan(value_P)).sum()))
    return estimates


def chance_levels(measured_P_Q: NDArray[np.bool_]) -> dict[str, float]:
    """What each score is when steering does nothing and no two accuracies are equal."""
    tests = float(measured_P_Q.sum(axis=1).mean())
    compatible = (tests + 1) / (2 * tests) if tests else float("nan")
    return {
        "accuracy": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "identification": 1 / tests if tests else float("nan"),
        "double_centred": 0.0,
        "compatible_sensitivity": compatible,
        "compatible_specificity": compatible,
        "gain": 0.0,
        "leakage": 0.0,
    }


def _tosses(n_P_Q: NDArray[np.int64], draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Accuracies of fair coins, [B, P, Q] at a time; nan where nothing was asked."""
    for start in range(0, draws, DRAWS_AT_ONCE):
        heads_B_P_Q = rng.binomial(n_P_Q, 0.5, size=(min(DRAWS_AT_ONCE, draws - start), *n_P_Q.shape))
        with np.errstate(invalid="ignore"):
            yield heads_B_P_Q / n_P_Q


def _joined(parts: list[dict[str, Floats]], score: str) -> Floats:
    joined: Floats = np.concatenate([part[score] for part in parts])
    return joined
