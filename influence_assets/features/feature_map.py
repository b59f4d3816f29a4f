"""Which SAE latents carry which category: chosen on the selection half, reported from the held-out half.

For every category of every factor, latents are ranked by how well they tell the category's texts from the other texts
of its factor (AUROC on the selection half; equal ones by difference of mean activation, then by number). The first
`keep` become rows. Nothing held out enters the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.feature_labels import FactorLabels, check_labels
from influence_assets.features.stability import top_k_stability
from influence_assets.stats.auroc import auroc_intervals, aurocs, chunks
from influence_assets.stats.intervals import Interval
from resources.errors import InputError

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

KEEP = 20
TOP_TEXTS = 10
# Equal to this many digits is equal: sums of ranks in another order are not a better latent.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class MapSettings:
    """`keep` latents per category; `top_texts` texts per latent; `draws` resamples, seeded, for the stability."""

    keep: int = KEEP
    top_texts: int = TOP_TEXTS
    draws: int = 50
    seed: int = 0


@dataclass(frozen=True, slots=True)
class MappedLatent:
    """One latent among the first of one category.

    `auroc`, `mean_difference`: own texts against the factor's others, selection half. `heldout`: AUROC on the held-out
    half with its 95 % interval (`auroc_intervals`). `selectivity`: `auroc` minus the latent's largest AUROC for any
    other category of any factor, each against the others of its own factor: above 0 where nothing else is read as
    well, and not much above .5, since the largest of several at chance is .5 or more. `stability`: mean Jaccard overlap
    of the category's latents here with the first as many of bootstrap resamples of the selection texts; the same for
    all rows of a category.
    """

    feature_id: int
    factor: str
    category: str
    rank: int
    auroc: float
    mean_difference: float
    heldout: Interval
    n_heldout: int
    selectivity: float
    stability: float
    top_texts: tuple[str, ...]
    top_activations: tuple[float, ...]


class Selection(NamedTuple):
    """What the selection half says of every category (C, factor by factor) and latent (F)."""

    names_C: tuple[tuple[str, str], ...]
    auroc_C_F: Float64s
    difference_C_F: Float64s


def select(latents_N_F: Floats, labels: Sequence[FactorLabels], selection_N: Booleans) -> Selection:
    """AUROC and difference of mean activation of every category against the others of its factor.

    `latents_N_F`: one row per text (the mean or the largest activation over its tokens, as the caller decides), most
    of it zeros. The result holds two float64 numbers per category and latent; latents are copied a chunk at a time.
    """
    names = tuple((one.factor, category) for one in labels for category in one.categories)
    latents = latents_N_F.shape[1]
    auroc_C_F, difference_C_F = np.empty((len(names), latents)), np.empty((len(names), latents))
    first = 0
    for one in labels:
        rows_R = np.flatnonzero(one.labelled() & selection_N)
        member_C_R = np.array([one.members(category)[rows_R] for category in one.categories])
        weight_C_R = _mean_weights(member_C_R) - _mean_weights(~member_C_R)
        inside = slice(first, first + len(member_C_R))
        for part in chunks(len(rows_R), latents):
            part_R_F = latents_N_F[rows_R, part]
            auroc_C_F[inside, part] = aurocs(part_R_F, member_C_R)
            difference_C_F[inside, part] = weight_C_R @ part_R_F
        first = inside.stop
    return Selection(names, auroc_C_F, difference_C_F)


def ranked(auroc_F: Float64s, difference_F: Float64s) -> Integers:
    """Latent numbers, best first."""
    order_F: Integers = np.lexsort((np.arange(auroc_F.size), -difference_F, -np.round(auroc_F, _DIGITS)))
    return order_F


def feature_map(
    latents_N_F: Floats,
    text_ids: Sequence[str],
    labels: Sequence[FactorLabels],
    heldout_N: Booleans,
    settings: MapSettings = MapSettings(),
) -> list[MappedLatent]:
    """The first `keep` latents of every category that fire at all on its selection texts; see the module.

    Raises `InputError` for labels or latents that do not fit the texts, or too few texts of a category in a half.
    """
    check_labels(labels, heldout_N)
    _check_latents(latents_N_F, text_ids, heldout_N)
    selection = select(latents_N_F, labels, ~heldout_N)
    selectivity_C_F = _selectivity(selection.auroc_C_F)
    factors = {one.factor: one for one in labels}
    rows: list[MappedLatent] = []
    for number, (factor, name) in enumerate(selection.names_C):
        own_N = factors[factor].members(name)
        others_N = factors[factor].labelled() & ~own_N
        scores = (selection.auroc_C_F[number], selection.difference_C_F[number], selectivity_C_F[number])
        category = _Category(factor, name, own_N, others_N, *scores)
        rows += _rows_of(category, latents_N_F, text_ids, heldout_N, settings)
    return rows


class _Category(NamedTuple):
    """One category: its texts, the factor's others, and what the selection half says of every latent."""

    factor: str
    name: str
    own_N: Booleans
    others_N: Booleans
    auroc_F: Float64s
    difference_F: Float64s
    selectivity_F: Float64s


def _rows_of(
    one: _Category, latents_N_F: Floats, text_ids: Sequence[str], heldout_N: Booleans, settings: MapSettings
) -> list[MappedLatent]:
    order_F = ranked(one.auroc_F, one.difference_F)
    kept_K = order_F[one.auroc_F[order_F] > 0.5][: settings.keep]
    if not kept_K.size:
        return []
    heldout = auroc_intervals(
        latents_N_F[np.ix_(one.own_N & heldout_N, kept_K)], latents_N_F[np.ix_(one.others_N & heldout_N, kept_K)]
    )
    own_N, others_N = one.own_N & ~heldout_N, one.others_N & ~heldout_N
    stability = top_k_stability(
        latents_N_F, own_N, others_N, order_F, k=len(kept_K), draws=settings.draws, seed=settings.seed
    )
    tops = [_top_texts(latents_N_F[:, latent], text_ids, settings.top_texts) for latent in kept_K]
    return [
        MappedLatent(
            feature_id=int(latent),
            factor=one.factor,
            category=one.name,
            rank=place + 1,
            auroc=float(one.auroc_F[latent]),
            mean_difference=float(one.difference_F[latent]),
            heldout=Interval(*(float(ends_K[place]) for ends_K in heldout)),
            n_heldout=int(((one.own_N | one.others_N) & heldout_N).sum()),
            selectivity=float(one.selectivity_F[latent]),
            stability=stability,
            top_texts=tops[place][0],
            top_activations=tops[place][1],
        )
        for place, latent in enumerate(kept_K)
    ]


def _mean_weights(member_C_R: Booleans) -> Float64s:
    """Weights that take the mean over each class."""
    weights_C_R: Float64s = member_C_R / member_C_R.sum(axis=1, keepdims=True)
    return weights_C_R


def _selectivity(auroc_C_F: Float64s) -> Float64s:
    """Each class's AUROC minus the largest of the other classes; nan when there is one class only."""
    if len(auroc_C_F) < 2:
        return np.full(auroc_C_F.shape, np.nan)
    best_F = auroc_C_F.max(axis=0)
    second_F = np.partition(auroc_C_F, -2, axis=0)[-2]
    is_best_C_F = np.arange(len(auroc_C_F))[:, None] == auroc_C_F.argmax(axis=0)
    selectivity_C_F: Float64s = auroc_C_F - np.where(is_best_C_F, second_F, best_F)
    return selectivity_C_F


def _top_texts(activations_N: Floats, text_ids: Sequence[str], limit: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The texts that activate a latent most, with their activation; texts on which it is silent are left out."""
    order_N = np.argsort(-activations_N, kind="stable")[:limit]
    order_N = order_N[activations_N[order_N] > 0]
    return tuple(text_ids[row] for row in order_N), tuple(float(activations_N[row]) for row in order_N)


def _check_latents(latents_N_F: Floats, text_ids: Sequence[str], heldout_N: Booleans) -> None:
    if latents_N_F.ndim != 2 or len(latents_N_F) != len(text_ids) or len(text_ids) != len(heldout_N):
        raise InputError(
            f"latents of shape {latents_N_F.shape} for {len(text_ids)} texts, {len(heldout_N)} of which have a half",
            field="latents",
            fix="give one row of latents, one id and one half per text",
        )
    for row, row_F in enumerate(latents_N_F):
        if not np.isfinite(row_F).all():
            raise InputError(
                "a latent is not finite",
                field="latents",
                value=text_ids[row],
                fix="leave the text out, or encode it again",
            )
