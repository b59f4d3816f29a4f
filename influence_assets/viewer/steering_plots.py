"""Pictures of steering as PNG bytes: dose responses over their controls, shifts at equal cost, off-target shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, png
from influence_assets.viewer.plot_parts import CONTROL, LOOKS, ends, name, nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

RANDOM, SHUFFLED, PROMPT, LOW = "random", "shuffled", "prompt", "low"
CONTROLS = (RANDOM, SHUFFLED)
_PER_ROW = 4
_MOST_PANELS = 16
_MOST_LINES = 40


def dose_response(rows: pl.DataFrame, *, title: str) -> bytes:
    """P(high) against the coefficient: a panel per trait, a line per method, over what control directions do.

    `rows`: rows of `sql/steering.sql` of one checkpoint, at most one direction per trait and method beside controls. A
    point is the unsteered score plus the paired shift, with the shift's interval. Boxes span all random directions,
    and beside them all directions of shuffled labels, from lowest to highest, at the coefficient where they were tried.
    A random direction has no sign, so its box stands on both sides.
    """
    traits = rows["trait"].unique().sort().to_list()[:_MOST_PANELS]
    if not traits or rows["unsteered"].is_null().all():
        return nothing(title)
    methods = [one for one in rows["method"].unique().sort().to_list() if one not in CONTROLS]
    reach = float(rows["coefficient"].abs().max() or 1.0)  # type: ignore[arg-type]
    across = min(_PER_ROW, len(traits))
    down = -(-len(traits) // across)
    wide = 3.9 if across <= 2 else 2.4
    figure, panels = canvas(wide * across + 2.2, 0.7 + 2.9 * down, panels=across, rows=down)
    for axes, trait in zip(panels, traits, strict=False):
        _curves(axes, rows.filter(pl.col("trait") == trait), methods, reach)
        axes.set_title(name(trait, 34), fontsize=9)
        axes.set_xlabel("coefficient (mean residual norms)", fontsize=8)
    for axes in panels[len(traits) :]:
        axes.set_axis_off()
    for first in panels[::across]:
        first.set_ylabel("P(high), 95 % interval of the shift", fontsize=8)
    known = {label: mark for axes in panels for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known.keys(), frameon=False, fontsize=8, loc="outside right upper")
    figure.suptitle(name(title, 90), fontsize=10)
    return png(figure)


def _curves(axes: Axes, rows: pl.DataFrame, methods: Sequence[str], reach: float) -> None:
    """One trait's panel."""
    bases = rows["unsteered"].drop_nulls()
    if bases.is_empty():
        return
    base = float(bases[0])
    for method in CONTROLS:
        _boxes(axes, rows.filter(pl.col("method") == method).drop_nulls("shift"), base, reach)
    axes.axhline(base, linestyle="--", color="grey", linewidth=0.9, label="unsteered")
    for number, method in enumerate(methods):
        part = rows.filter(pl.col("method") == method).drop_nulls("shift").sort("coefficient")
        if part.is_empty():
            continue
        colour, marker = LOOKS[number % len(LOOKS)]
        beside = 0.012 * reach * (number - (len(methods) - 1) / 2)  # so that intervals do not hide each other
        x = part["coefficient"].to_numpy() + beside
        shift, *spread = ends(part, "shift")
        if method == PROMPT:  # no coefficient: it stands beside the curves
            x = np.full(part.height, 1.28 * reach)
        elif 0.0 not in part["coefficient"]:
            at = int(np.searchsorted(part["coefficient"].to_numpy(), 0.0))
            x, shift, *spread = (np.insert(one, at, 0.0) for one in (x, shift, *spread))
        axes.errorbar(
            x,
            base + shift,
            yerr=spread,
            color=colour,
            marker=marker,
            markersize=5,
            capsize=2.5,
            linewidth=1.2,
            linestyle="none" if method == PROMPT else "-",
            label=name(method, 34),
        )


def _boxes(axes: Axes, controls: pl.DataFrame, base: float, reach: float) -> None:
    """From the lowest to the highest of one kind of control directions, at each coefficient where they were tried."""
    random = RANDOM in controls["method"]
    n = controls.select("factor", "index").n_unique()
    left, right = (-0.055 * reach, 0.055 * reach) if random else (0.07 * reach, 0.12 * reach)
    ranges = controls.group_by("coefficient").agg(low=pl.col("shift").min(), high=pl.col("shift").max())
    for at, low, high in ranges.sort("coefficient").iter_rows():
        for place in {at, -at} if random else {at}:
            axes.fill_between(
                [place + left, place + right],
                base + low,
                base + high,
                facecolor=CONTROL if random else "none",
                edgecolor="none" if random else "#5b6673",
                hatch=None if random else "////",
                label=f"{n} random directions" if random else f"{n} of shuffled labels",
            )


def at_equal_cost(doses: pl.DataFrame, steered: pl.DataFrame, *, title: str) -> bytes:
    """Each way of steering a trait toward a pole: its shift at the reference coefficient, and the largest that it
    reaches within the bound on KL.

    `doses`: rows of `features.dose_response` of one checkpoint; `steered`: of `sql/steering.sql`, for the random
    directions, whose range stands behind each line (turned round for the low pole).
    """
    traits = doses["trait"].unique().sort().to_list()[:_MOST_PANELS]
    if not traits:
        return nothing(title)
    lines = (
        doses.group_by("category", "method")
        .agg(pl.col("shift").mean())
        .sort("category", "shift", descending=[True, False], nulls_last=True)
    )
    lines = lines.tail(_MOST_LINES).select("category", "method").with_row_index("line")
    bound = doses["kl_bound"][0]
    random = steered.filter((pl.col("method") == RANDOM) & (pl.col("coefficient") == doses["reference"].max()))
    across = min(_PER_ROW, len(traits))
    down = -(-len(traits) // across)
    figure, panels = canvas(
        2.0 + (4.0 if across <= 2 else 2.1) * across,
        1.0 + down * (0.9 + 0.24 * lines.height),
        panels=across,
        rows=down,
    )
    for number, (axes, trait) in enumerate(zip(panels, traits, strict=False)):
        part = doses.filter(pl.col("trait") == trait).join(lines, on=["category", "method"]).sort("line")
        _random_bars(axes, part, random.filter(pl.col("trait") == trait)["shift"].drop_nulls())
        _shifts(axes, part, bound)
        axes.axvline(0.0, color="grey", linewidth=0.8)
        labels = [name(f"{method}, {category}", 40) for category, method in lines.select("category", "method").rows()]
        axes.set_yticks(lines["line"].to_numpy(), labels, fontsize=8)
        axes.tick_params(axis="y", labelleft=number % across == 0)
        axes.set_ylim(-0.6, lines.height - 0.4)
        axes.set_title(name(trait, 34), fontsize=9)
        axes.set_xlabel("shift toward the pole, 95 % interval", fontsize=8)
    for axes in panels[len(traits) :]:
        axes.set_axis_off()
    known = {label: mark for axes in panels for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known.keys(), frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    figure.suptitle(name(title, 90), fontsize=10)
    return png(figure)


def _random_bars(axes: Axes, part: pl.DataFrame, random: pl.Series) -> None:
    if random.is_empty():
        return
    low, high = float(random.min()), float(random.max())  # type: ignore[arg-type]
    for line, category in part.select("line", "category").iter_rows():
        left, right = (-high, -low) if category == LOW else (low, high)
        axes.barh(line, right - left, left=left, height=0.8, color=CONTROL, label=f"{random.len()} random directions")


def _shifts(axes: Axes, part: pl.DataFrame, bound: float) -> None:
    within = pl.col("kl") <= pl.col("kl_bound")
    for cheap, face, label in (
        (within.fill_null(value=False), "black", f"at the reference, KL within {bound:g} nat"),
        (~within.fill_null(value=False), "white", "at the reference, KL above it or unknown"),
    ):
        some = part.filter(cheap).drop_nulls("shift")
        if some.is_empty():
            continue
        value, *spread = ends(some, "shift")
        y = some["line"].to_numpy()
        axes.errorbar(
            value, y, xerr=spread, fmt="o", color="black", markerfacecolor=face, markersize=5, capsize=2.5, label=label
        )
    best = part.drop_nulls("shift_at_kl")
    x, y = best["shift_at_kl"].to_numpy(), best["line"].to_numpy() + 0.22
    axes.plot(x, y, "D", color="#D55E00", markersize=5, label=f"largest with KL within {bound:g} nat")


def off_target(rows: pl.DataFrame, *, title: str) -> bytes:
    """Shift of every trait (columns) under every direction (rows): its own, framed, should stand out.

    `rows`: rows of `sql/steering.sql` of one checkpoint. A direction is shown at the positive coefficient at which it
    was tried on the most traits, the largest of these; directions that were tried on fewer traits than others are left
    out. Void scores have no shift and stay hatched.
    """
    shown = _widest(rows)
    if shown.is_empty():
        return nothing(title)
    keys = shown.select("method", "factor", "category").unique().sort("method", "category", "factor").rows()
    keys = keys[:_MOST_LINES]
    traits = shown["trait"].unique().sort().to_list()[:_MOST_LINES]
    shift_D_T = np.full((len(keys), len(traits)), np.nan)
    for *key, trait, shift in shown.select("method", "factor", "category", "trait", "shift").iter_rows():
        if tuple(key) in keys and trait in traits:
            shift_D_T[keys.index(tuple(key)), traits.index(trait)] = shift
    figure, (axes,) = canvas(5.8 + 0.62 * len(traits), 1.9 + 0.3 * len(keys))
    most = float(np.nanmax(np.abs(shift_D_T))) or 1.0
    axes.patch.set(facecolor="white", hatch="xx", edgecolor="lightgrey")
    image = axes.imshow(shift_D_T, cmap="cividis", vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    for (row, column), shift in np.ndenumerate(shift_D_T):
        if not np.isnan(shift):
            ink = "black" if shift > 0 else "white"
            axes.text(column, row, f"{float(shift):+.2f}", ha="center", va="center", fontsize=7, color=ink)
        if keys[row][1] == traits[column]:
            axes.add_patch(_frame(row, column))
    axes.set_xticks(np.arange(len(traits)), [name(t, 20) for t in traits], rotation=30, ha="right", fontsize=8)
    axes.set_yticks(np.arange(len(keys)), [name(f"{of} {pole}, {how}", 46) for how, of, pole in keys], fontsize=8)
    axes.set_xlabel("trait that was tested (framed: its own)", fontsize=8)
    axes.set_title(name(title, 90), fontsize=10)
    figure.colorbar(image, ax=axes, label="shift of P(high)")
    return png(figure)


def _frame(row: int, column: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.44), 0.94, 0.88, fill=False, edgecolor="#D55E00", linewidth=2)


def _widest(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of each direction at the coefficient where it can be compared over the most traits."""
    known = rows.filter(~pl.col("method").is_in(CONTROLS) & (pl.col("coefficient") >= 0)).drop_nulls("shift")
    tried = known.filter((pl.col("coefficient") > 0) | (pl.col("method") == PROMPT))
    who = ["factor", "category", "method"]
    best = (
        tried.group_by(*who, "coefficient")
        .agg(n=pl.col("trait").n_unique())
        .sort("n", "coefficient", descending=True)
        .group_by(who, maintain_order=True)
        .first()
    )
    widest = best.filter(pl.col("n") == pl.col("n").max()).drop("n")
    return tried.join(widest, on=[*who, "coefficient"])
