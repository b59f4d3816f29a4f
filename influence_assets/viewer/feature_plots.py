"""Pictures of the features page as PNG bytes: the feature map, dose responses with their null, off-target shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, literal, png
from influence_assets.viewer.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANCE = 0.5
RANDOM = "random"
# Okabe and Ito's colours; markers tell them apart in grey.
_LOOKS = (("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s"), ("#CC79A7", "D"), ("#56B4E9", "v"), ("#E69F00", "P"))
_MOST_ROWS = 30


def feature_map(rows: pl.DataFrame, *, title: str) -> bytes:
    """The best features by held-out AUROC, each with its 95 % interval and its AUROC on the texts that chose it.

    `rows`: rows of `features.sae_feature_map` of one checkpoint; the first 30 are drawn.
    """
    top = rows.head(_MOST_ROWS).reverse()
    figure, (axes,) = canvas(8.0, 1.4 + 0.24 * max(1, top.height))
    y = np.arange(top.height)
    value, low, high = _ends(top, "auroc_heldout")
    axes.errorbar(
        value, y, xerr=np.abs([value - low, high - value]), fmt="o", color="black", capsize=3, label="held-out texts"
    )
    chosen = top["auroc"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    axes.plot(chosen, y, "x", color="#5b6673", label="texts that chose it")
    axes.axvline(CHANCE, linestyle="--", color="grey", label="chance")
    names = [f"{feature} · {factor}: {category}" for feature, factor, category in _named(top)]
    axes.set_yticks(y, [literal(one_line(name, 46)) for name in names], fontsize=8)
    axes.set_xlabel("AUROC of the feature's activation for the category, 95 % interval")
    axes.set_title(literal(one_line(title, 90)), fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return png(figure)


def dose_response(rows: pl.DataFrame, *, trait: str, title: str) -> bytes:
    """Shift of a trait score against the coefficient, one line per direction, over the band of random directions.

    `rows`: rows of `sql/steering.sql` of one checkpoint and one trait. The band spans the random directions from
    lowest to highest at each coefficient: what any push of that size does.
    """
    figure, (axes,) = canvas(8.0, 4.2)
    named = rows.filter(pl.col("method").fill_null("") != RANDOM)
    _null_band(axes, rows.filter(pl.col("method").fill_null("") == RANDOM))
    for number, (label, part) in enumerate(_lines(named)):
        colour, marker = _LOOKS[number % len(_LOOKS)]
        doses = part.sort("coefficient")
        value, low, high = _ends(doses, "shift")
        axes.errorbar(
            doses["coefficient"].to_numpy(),
            value,
            yerr=np.abs([value - low, high - value]),
            color=colour,
            marker=marker,
            capsize=3,
            label=literal(one_line(label, 60)),
        )
    axes.axvline(0, color="grey", linewidth=0.8, label="not steered")
    axes.set_xlabel("coefficient along the direction (0: not steered)")
    axes.set_ylabel(literal(f"shift of the trait score of {one_line(trait, 24)}, 95 % interval"))
    axes.set_title(literal(one_line(title, 90)), fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def off_target(rows: pl.DataFrame, *, title: str) -> bytes:
    """Shift of every trait (columns) under every direction (rows) at its largest coefficient: its own should stand out.

    `rows`: rows of `sql/steering.sql` of one checkpoint, labelled; void scores have no shift and stay hatched.
    """
    largest = (
        rows.filter((pl.col("method").fill_null("") != RANDOM) & pl.col("shift").is_not_null())
        .filter(pl.col("coefficient") > 0)
        .sort("coefficient", descending=True)
        .group_by("label", "trait", maintain_order=True)
        .first()
    )
    if largest.is_empty():
        return _nothing(title)
    labels, traits = largest["label"].unique().sort().to_list(), largest["trait"].unique().sort().to_list()
    shift_D_T = np.full((len(labels), len(traits)), np.nan)
    for label, trait, shift in largest.select("label", "trait", "shift").iter_rows():
        shift_D_T[labels.index(label), traits.index(trait)] = shift
    figure, (axes,) = canvas(5.2 + 0.55 * len(traits), 1.9 + 0.3 * max(1, len(labels)))
    most = float(np.nanmax(np.abs(shift_D_T))) or 1.0
    axes.patch.set(facecolor="white", hatch="xx", edgecolor="lightgrey")
    image = axes.imshow(shift_D_T, cmap="cividis", vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    for (row, column), shift in np.ndenumerate(shift_D_T):
        if not np.isnan(shift):
            ink = "black" if shift > 0 else "white"
            axes.text(column, row, f"{float(shift):+.2f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(
        np.arange(len(traits)), [literal(one_line(t, 20)) for t in traits], rotation=60, ha="right", fontsize=8
    )
    axes.set_yticks(np.arange(len(labels)), [literal(one_line(n, 40)) for n in labels], fontsize=8)
    axes.set_title(literal(one_line(title, 90)), fontsize=10)
    figure.colorbar(image, ax=axes, label="shift of the trait score")
    return png(figure)


def _nothing(title: str) -> bytes:
    figure, (axes,) = canvas(5.0, 1.4)
    axes.text(0.5, 0.5, "nothing was measured", ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
    axes.set_title(literal(one_line(title, 90)), fontsize=10)
    return png(figure)


def _null_band(axes: Axes, random: pl.DataFrame) -> None:
    band = random.drop_nulls("shift").group_by("coefficient").agg(low=pl.col("shift").min(), high=pl.col("shift").max())
    if band.is_empty():
        return
    band = band.sort("coefficient")
    x, low, high = (band[name].to_numpy() for name in ("coefficient", "low", "high"))
    axes.fill_between(x, low, high, color="#d5d9de", label=f"{random['direction_id'].n_unique()} random directions")


def _lines(rows: pl.DataFrame) -> Sequence[tuple[str, pl.DataFrame]]:
    labels = rows["label"].unique(maintain_order=True).to_list()
    return [(label, rows.filter(pl.col("label") == label)) for label in labels]


def _named(rows: pl.DataFrame) -> list[tuple[str, str, str]]:
    return [(str(f), str(a), str(c)) for f, a, c in rows.select("feature_id", "factor", "category").iter_rows()]


def _ends(rows: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and interval as arrays; an end that is missing is the value itself."""
    ends = (
        rows.select(value=column, low=pl.coalesce("ci_low", column), high=pl.coalesce("ci_high", column))
        .cast(pl.Float64)
        .fill_null(float("nan"))
    )
    value, low, high = (ends[name].to_numpy() for name in ("value", "low", "high"))
    return value, low, high
