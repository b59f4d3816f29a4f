"""From the model's distributions over A to D to a score per item and per trait. Pure numpy.

Arrays: N items, O orders (`orders.option_orders`), 4 options (`orders.Option`). A distribution that is not there is
nan, whatever the reason; the reason is its status. A trait score is the mean over items of P(high1) + P(high2), itself
the mean over orders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.orders import Option
from influence_assets.stats.intervals import LEVEL
from influence_assets.stats.resampling import bootstrap_mean
from resources.answers import VOID_BELOW
from resources.messages import Status

Floats = NDArray[np.floating]

HIGHS = [Option.HIGH1, Option.HIGH2]


@dataclass(frozen=True)
class ItemScores:
    """What each of N items came to.

    `p_high_N` is nan where `status` is not ok. `mass_N`: mean probability on A to D over the orders where it is known,
    nan where it never is. `consistency_N`: see `order_consistency`, nan unless the item counts. `answered_N`: orders
    with a distribution.
    """

    p_high_N: NDArray[np.float64]
    mass_N: NDArray[np.float64]
    consistency_N: NDArray[np.float64]
    answered_N: NDArray[np.int64]
    status: tuple[Status, ...]


@dataclass(frozen=True, slots=True)
class TraitScore:
    """A trait's score over `n` items that count, with the ends of its interval; None where it cannot be had.

    `n_void` items do not count. `mass` is over all items where it is known, also void ones. `hard_score` is the share
    of `n_hard` items that the compatible hard score calls high.
    """

    score: float | None
    ci_low: float | None
    ci_high: float | None
    mass: float | None
    order_consistency: float | None
    n: int
    n_void: int
    hard_score: float | None
    n_hard: int


def score_items(
    shares_N_O_4: Floats, mass_N_O: Floats, statuses_N_O: Sequence[Sequence[Status]], *, min_mass: float = VOID_BELOW
) -> ItemScores:
    """P(high) of each item, mean over the orders that have a distribution.

    `shares_N_O_4` sum to 1 over the options, or are nan; `mass_N_O` is the probability on A to D before scaling, nan
    where unknown. An item is void when no order has a distribution (it then has the status that all its orders share,
    if they do) or when its mean mass is below `min_mass`. It has a status then, and no number. Raises `ValueError` for
    shapes that do not fit and shares that do not sum to 1.
    """
    _check(shares_N_O_4, mass_N_O, statuses_N_O)
    answered_N_O = _answered(shares_N_O_4)
    answered_N = answered_N_O.sum(axis=1)
    mass_N = _mean_of_known(mass_N_O)
    status = tuple(
        _status(bool(answered), float(mass) < min_mass, statuses)
        for answered, mass, statuses in zip(answered_N, mass_N, statuses_N_O, strict=True)
    )
    counts_N = np.array([one is Status.OK for one in status], dtype=bool)
    high_N_O = np.where(answered_N_O, shares_N_O_4[:, :, HIGHS].sum(axis=2), np.nan)
    return ItemScores(
        p_high_N=np.where(counts_N, _mean_of_known(high_N_O), np.nan),
        mass_N=mass_N,
        consistency_N=np.where(counts_N, order_consistency(shares_N_O_4), np.nan),
        answered_N=answered_N.astype(np.int64),
        status=status,
    )


def order_consistency(shares_N_O_4: Floats) -> NDArray[np.float64]:
    """[N]: the probability that two answers in two different orders, drawn at random, choose the same option.

    Mean over ordered pairs of different orders o, o' of sum_k p_o(k) p_o'(k), with k an option by its content. 1 where
    one option is certain in every order, .25 where all four are equally likely in each; 0 where the answer is always A
    and the orders are cyclic. nan with fewer than two orders that have a distribution.
    """
    known_N_O = _answered(shares_N_O_4)
    shares_N_O_4 = np.where(known_N_O[:, :, None], shares_N_O_4, 0.0)
    n_N = known_N_O.sum(axis=1)
    sums_N_4 = shares_N_O_4.sum(axis=1)
    same_N = (sums_N_4**2).sum(axis=1) - (shares_N_O_4**2).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_N > 1, np.clip(same_N / (n_N * (n_N - 1.0)), 0.0, 1.0), np.nan)


def hard_shares(forward_N_4: Floats, reverse_N_4: Floats) -> NDArray[np.float64]:
    """[N, 4]: mean over the two public orders of what each option got, each order scaled to sum to 1.

    Rows are by option (`orders.by_option`) on any scale: the published trait test scales before it averages, so its
    hard score never sees how much probability the letters had together. nan where a row has a nan, or only zeros.
    """
    return (_scaled(forward_N_4) + _scaled(reverse_N_4)) / 2


def hard_high(shares_N_4: Floats) -> NDArray[np.float64]:
    """[N]: 1 where the largest of high1, high2, low1, low2 (the first of equals) is a high option, 0 where it is a low
    one, nan where the shares are: the label of the published trait test."""
    known_N = _answered(shares_N_4)
    largest_N = np.argmax(np.where(known_N[:, None], shares_N_4, 0.0), axis=1)
    return np.where(known_N, (largest_N <= Option.HIGH2).astype(np.float64), np.nan)


def trait_score(
    items: ItemScores, hard_high_N: Floats | None = None, *, draws: int, seed: int, level: float = LEVEL
) -> TraitScore:
    """Mean of P(high) over the items that count, with a bootstrap interval over items.

    `hard_high_N` comes from `hard_high`; without it, or where it is nan throughout, there is no hard score. The
    interval is None with fewer than two items, the score with none.
    """
    counting_N = items.p_high_N[np.isfinite(items.p_high_N)]
    interval = bootstrap_mean(counting_N, draws=draws, seed=seed, level=level) if counting_N.size else (math.nan,) * 3
    score, low, high = (_or_none(value) for value in interval)
    hard_N = np.empty(0) if hard_high_N is None else hard_high_N[np.isfinite(hard_high_N)]
    return TraitScore(
        score=score,
        ci_low=low,
        ci_high=high,
        mass=_or_none(_mean(items.mass_N)),
        order_consistency=_or_none(_mean(items.consistency_N)),
        n=counting_N.size,
        n_void=items.p_high_N.size - counting_N.size,
        hard_score=_or_none(_mean(hard_N)),
        n_hard=hard_N.size,
    )


def _answered(shares_x_4: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(shares_x_4).all(axis=-1))


def _status(answered: bool, light: bool, statuses: Sequence[Status]) -> Status:
    if answered:
        return Status.VOID if light else Status.OK
    shared = set(statuses)
    return statuses[0] if len(shared) == 1 and Status.OK not in shared else Status.VOID


def _check(shares_N_O_4: Floats, mass_N_O: Floats, statuses_N_O: Sequence[Sequence[Status]]) -> None:
    shape = mass_N_O.shape
    if len(shape) != 2 or shares_N_O_4.shape != (*shape, 4) or len(statuses_N_O) != shape[0]:
        raise ValueError(
            f"shares {shares_N_O_4.shape}, masses {shape} and statuses of {len(statuses_N_O)} items; "
            "expected (N, O, 4), (N, O) and N"
        )
    if any(len(statuses) != shape[1] for statuses in statuses_N_O):
        raise ValueError(f"an item has statuses of more or fewer than {shape[1]} orders")
    sums_N_O = shares_N_O_4.sum(axis=2)
    known = sums_N_O[np.isfinite(sums_N_O)]
    if (np.abs(known - 1) > 1e-5).any():
        raise ValueError(f"shares sum to {known[np.argmax(np.abs(known - 1))]:.6g}, not to 1")


def _scaled(weights_N_4: Floats) -> NDArray[np.float64]:
    sums_N_1 = weights_N_4.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums_N_1 > 0, weights_N_4 / sums_N_1, np.nan)


def _mean_of_known(values_N_O: Floats) -> NDArray[np.float64]:
    known_N_O = np.isfinite(values_N_O)
    n_N = known_N_O.sum(axis=1)
    return np.where(n_N > 0, np.where(known_N_O, values_N_O, 0.0).sum(axis=1) / np.maximum(n_N, 1), np.nan)


def _mean(values_N: Floats) -> float:
    known = values_N[np.isfinite(values_N)]
    return float(known.mean()) if known.size else math.nan


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
