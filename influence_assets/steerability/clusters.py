"""Personas grouped by their rows of the matrix, within each framework and across all.

The profile of a persona is its row of the double-centred matrix: what steering to it does on each test, beyond what any
steering does on that test and beyond what it does on all. Average linkage on correlation distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.stats.intervals import Interval, percentile
from influence_assets.steerability.people import Persona
from influence_assets.steerability.tables import CLUSTERS, empty_frame
from influence_assets.steerability.tensors import Draws, Floats, Run, cell_means, resampled_cell_means, tensors

ALL = "all"
TREE_DRAWS = 200
"""Draws for the adjusted Rand index: each grows a tree, and two digits of an end are enough."""


@dataclass(frozen=True)
class Tree:
    """Order of the leaves, and for each persona its cluster, numbered from 1 in that order."""

    order_P: NDArray[np.int64]
    cluster_P: NDArray[np.int64]


def cluster_table(responses: pl.DataFrame, personas: Mapping[str, Persona], *, draws: int, seed: int) -> pl.DataFrame:
    """Rows of `steerability.clusters` from the responses of one model and iteration; empty for empty responses.

    Across frameworks the tree is cut into as many clusters as there are frameworks and compared with them by the
    adjusted Rand index (Hubert and Arabie 1985, equation 5), with a percentile interval over draws of personas (each
    counted once) and statements. Within a framework of P personas it is cut into round(sqrt(P)) clusters.
    """
    if responses.is_empty():
        return empty_frame(CLUSTERS)
    data = tensors(responses)
    framework_P = np.array([personas[persona_id].group for persona_id in data.persona_ids])
    drawn = Draws.of(data, min(draws, TREE_DRAWS), seed)
    frames = []
    for run in data.runs:
        matrix_P_Q = cell_means(run.correct_R_P_Q_S)
        for scope in [ALL, *np.unique(framework_P).tolist()]:
            members_P = np.flatnonzero((framework_P == scope) | (scope == ALL))
            n_clusters = len(np.unique(framework_P)) if scope == ALL else round(len(members_P) ** 0.5)
            tree = grow(matrix_P_Q[np.ix_(members_P, members_P)], n_clusters)
            ari = _agreement(run, drawn, framework_P, tree) if scope == ALL else Interval(np.nan, np.nan, np.nan)
            frames.append(_rows([data.persona_ids[p] for p in members_P.tolist()], framework_P[members_P], tree, ari))
            frames[-1] = frames[-1].with_columns(
                method=pl.lit(run.method), n_steer=pl.lit(run.n_steer, dtype=pl.Int32), scope=pl.lit(scope)
            )
    model, iteration = responses["model"][0], responses["iteration"][0]
    rows = pl.concat(frames).with_columns(model=pl.lit(model), iteration=pl.lit(iteration, dtype=pl.Int32))
    return rows.select(column.name for column in CLUSTERS.columns).sort(CLUSTERS.key)


def _rows(persona_ids: list[str], framework_P: NDArray[np.str_], tree: Tree, ari: Interval) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "persona_id": persona_ids,
            "framework": framework_P.tolist(),
            "position": np.argsort(tree.order_P).astype(np.int32),
            "cluster": tree.cluster_P.astype(np.int32),
        }
    ).with_columns(
        n_clusters=pl.lit(int(tree.cluster_P.max()), dtype=pl.Int32),
        ari=pl.lit(ari.value, dtype=pl.Float64).fill_nan(None),
        ari_low=pl.lit(ari.low, dtype=pl.Float64).fill_nan(None),
        ari_high=pl.lit(ari.high, dtype=pl.Float64).fill_nan(None),
    )


def grow(matrix_P_Q: Floats, n_clusters: int) -> Tree:
    """The tree of one square matrix. Missing cells take the mean of their column; constant profiles are alike."""
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

    size = len(matrix_P_Q)
    if size < 2:
        return Tree(np.arange(size), np.ones(size, dtype=np.int64))
    links = linkage(_distances(profiles(matrix_P_Q)), method="average")
    order_P = np.asarray(leaves_list(links), dtype=np.int64)
    labels_P = np.asarray(fcluster(links, n_clusters, criterion="maxclust"), dtype=np.int64)
    _, first = np.unique(labels_P[order_P], return_index=True)
    rank = {label: number for number, label in enumerate(labels_P[order_P][np.sort(first)].tolist(), start=1)}
    return Tree(order_P, np.array([rank[label] for label in labels_P.tolist()], dtype=np.int64))


def profiles(matrix_P_Q: Floats) -> Floats:
    """Double-centred rows; a missing cell takes the mean of its column (0 in a column without any)."""
    known = ~np.isnan(matrix_P_Q)
    total_Q, n_Q = np.where(known, matrix_P_Q, 0).sum(axis=0), known.sum(axis=0)
    column_Q = np.divide(total_Q, n_Q, out=np.zeros_like(total_Q), where=n_Q > 0)
    filled = np.where(known, matrix_P_Q, column_Q)
    centred: Floats = filled - filled.mean(axis=0) - filled.mean(axis=1, keepdims=True) + filled.mean()
    return centred


def adjusted_rand(one_P: NDArray[np.integer], other_P: NDArray[np.integer]) -> float:
    """Agreement of two groupings: 1 the same, 0 what chance gives; nan when both put all personas in one group."""
    table = np.zeros((int(one_P.max()) + 1, int(other_P.max()) + 1))
    np.add.at(table, (one_P, other_P), 1)
    cells, rows, columns, all_ = (_pairs(n) for n in (table, table.sum(1), table.sum(0), np.array([len(one_P)])))
    if all_ == 0:
        return float("nan")
    expected, most = rows * columns / all_, (rows + columns) / 2
    return float((cells - expected) / (most - expected)) if most != expected else float("nan")


def _agreement(run: Run, drawn: Draws, framework_P: NDArray[np.str_], tree: Tree) -> Interval:
    names, group_P = np.unique(framework_P, return_inverse=True)
    if len(names) < 2:
        return Interval(np.nan, np.nan, np.nan)
    draws_B = []
    for chunk in drawn.chunks():
        matrices_B_P_Q = resampled_cell_means(run.correct_R_P_Q_S, drawn.statements_Q_B_S[:, chunk])
        for matrix_P_Q, weights_P in zip(matrices_B_P_Q, drawn.personas_B_P[chunk], strict=True):
            kept = np.flatnonzero(weights_P)
            here = len(np.unique(group_P[kept]))
            resampled = grow(matrix_P_Q[np.ix_(kept, kept)], here)
            draws_B.append(adjusted_rand(resampled.cluster_P, group_P[kept]) if here > 1 else np.nan)
    value = adjusted_rand(tree.cluster_P, group_P)
    low, high = percentile(np.array(draws_B))
    return Interval(value, min(float(low), value), max(float(high), value))


def _distances(profiles_P_Q: Floats) -> NDArray[np.float64]:
    """Condensed correlation distances; a profile without variation has distance 1 to every other."""
    centred = profiles_P_Q - profiles_P_Q.mean(axis=1, keepdims=True)
    length_P = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = np.divide(centred, length_P, out=np.zeros_like(centred), where=length_P > 1e-9)
    upper = np.triu_indices(len(unit), k=1)
    distances: NDArray[np.float64] = np.clip(1 - (unit @ unit.T)[upper], 0, 2).astype(np.float64)
    return distances


def _pairs(n: NDArray[np.floating] | NDArray[np.integer]) -> float:
    return float((n * (n - 1) / 2).sum())
