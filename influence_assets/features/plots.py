"""Pictures of the features family as PNG bytes: feature map, dose response with its random band, off-target matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, literal, png

# Okabe and Ito's colours, told apart by colour-blind eyes; markers tell them apart in grey.
_LOOKS = (
    ("#000000", "o"),
    ("#D55E00", "^"),
    ("#0072B2", "s"),
    ("#009E73", "D"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    ("#999999", "*"),
)


def feature_map(rows: pl.DataFrame, *, title: str, best: int = 3) -> bytes:
    """The best latents of every category by held-out AUROC, with their intervals; chance is dashed."""
    top = rows.filter(pl.col("rank") <= best).sort("factor", "category", "rank", descending=[True, True, True])
    figure, (axis,) = canvas(6.4, max(2.4, 0.9 + 0.17 * top.height))
    value, low, high = (top[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in _ENDS)
    axis.errorbar(value, np.arange(top.height), xerr=np.abs([value - low, high - value]), fmt="o", ms=3, color="black")
    names = [f"{factor} {category}: {latent}" for factor, category, latent in top.select(_NAMED).iter_rows()]
    axis.set_yticks(np.arange(top.height), [literal(name) for name in names], fontsize=6)
    axis.axvline(0.5, linestyle="--", color="grey")
    axis.set_xlabel("held-out AUROC of the latent, 95 % interval (dashed: chance)")
    axis.set_title(literal(title), fontsize=10)
    return png(figure)


_ENDS = ("auroc_heldout", "ci_low", "ci_high")
_NAMED = ["factor", "category", "feature_id"]


def dose_response(rows: pl.DataFrame, traits: Sequence[str], *, title: str) -> bytes:
    """One panel per trait: shift over coefficient of each method's direction with intervals, and the band in which
    19 of 20 random directions lie (at the coefficients at which they were tried)."""
    figure, axes = canvas(3.3 * len(traits), 3.0, panels=len(traits))
    for axis, trait in zip(axes, traits, strict=True):
        own = rows.filter((pl.col("trait") == trait) & (pl.col("factor") == trait) & (pl.col("category") != "low"))
        for number, (method, part) in enumerate(own.group_by("method", maintain_order=True)):
            if method[0] in ("random", "shuffled", "prompt"):
                continue
            colour, marker = _LOOKS[number % len(_LOOKS)]
            curve = _with_zero(part)
            x, y, low, high = (curve[name].to_numpy() for name in ("coefficient", "shift", "ci_low", "ci_high"))
            spread = np.abs([y - low, high - y])
            axis.errorbar(x, y, yerr=spread, color=colour, marker=marker, ms=4, capsize=2, lw=1, label=str(method[0]))
        random = rows.filter((pl.col("trait") == trait) & (pl.col("method") == "random"))
        for _, part in random.group_by("coefficient"):
            ends = part["shift"].drop_nulls().to_numpy()
            if ends.size:
                at = float(part["coefficient"][0])
                low, high = np.quantile(ends, [0.025, 0.975])
                axis.fill_between([at - 0.03, at + 0.03], low, high, color="grey", alpha=0.5, lw=0)
        axis.axhline(0, color="grey", lw=0.8)
        axis.set_title(literal(trait), fontsize=9)
        axis.set_xlabel("coefficient (mean residual norms)")
    axes[0].set_ylabel("shift of P(high), 95 % interval\n(grey: 95 % of random directions)")
    axes[0].legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=6)
    figure.suptitle(literal(title), fontsize=10)
    return png(figure)


def _with_zero(part: pl.DataFrame) -> pl.DataFrame:
    names = ("coefficient", "shift", "ci_low", "ci_high")
    zero = pl.DataFrame({name: [0.0] for name in names})
    return pl.concat([part.select(names).drop_nulls(), zero]).sort("coefficient")


def off_target(rows: pl.DataFrame, traits: Sequence[str], *, method: str, reference: float, title: str) -> bytes:
    """Shift of every trait (columns) under every trait's direction (rows) at the reference coefficient."""
    shift_T_T = np.full((len(traits), len(traits)), np.nan)
    found = rows.filter(
        (pl.col("method") == method) & (pl.col("coefficient") == reference) & (pl.col("category") != "low")
    )
    for factor, trait, shift in found.select("factor", "trait", "shift").iter_rows():
        if factor in traits and trait in traits and shift is not None:
            shift_T_T[traits.index(factor), traits.index(trait)] = shift
    size = max(3.6, 1.6 + 0.5 * len(traits))
    figure, (axis,) = canvas(size + 1.0, size)
    most = float(np.nanmax(np.abs(shift_T_T))) if np.isfinite(shift_T_T).any() else 1.0
    image = axis.imshow(shift_T_T, cmap="cividis", vmin=-most, vmax=most)
    for (row, column), shift in np.ndenumerate(shift_T_T):
        if np.isfinite(shift):
            colour = "black" if shift > 0 else "white"
            axis.text(column, row, f"{shift:+.2f}", ha="center", va="center", fontsize=7, color=colour)
    names = [literal(trait) for trait in traits]
    axis.set_xticks(range(len(traits)), names, rotation=90, fontsize=7)
    axis.set_yticks(range(len(traits)), names, fontsize=7)
    axis.set_xlabel("trait that was tested")
    axis.set_ylabel("direction that was added")
    axis.set_title(literal(title), fontsize=9)
    figure.colorbar(image, ax=axis, label="shift of P(high)", shrink=0.8)
    return png(figure)
