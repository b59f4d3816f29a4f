"""The picture of the joint family as PNG bytes: how every measure drifted, with intervals, on one scale."""

from __future__ import annotations

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, literal, png

# Okabe and Ito's colours, told apart by colour-blind eyes; markers tell them apart in grey.
_LOOKS = (("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s"), ("#CC79A7", "D"), ("#000000", "v"))
_ROW = ["measure", "subject", "user_kind"]


def drift(rows: pl.DataFrame, *, title: str) -> bytes:
    """One line per measure, one marker per iteration: change over the spread of the pairs' changes, 95 % interval.

    Hollow markers: the adjusted p is .05 or more. Measures without spread (all pairs changed alike) are left out. Of
    many iterations the last five are drawn.
    """
    usable = rows.filter(pl.col("spread") > 0).drop_nulls(["change", "ci_low", "ci_high"])
    lines = usable.select(_ROW).unique().sort(_ROW, descending=True).with_row_index("line")
    placed = usable.join(lines, on=_ROW).sort("iteration", "line")
    iterations = sorted(placed["iteration"].unique().to_list())[-len(_LOOKS) :]
    figure, (axis,) = canvas(7.2, max(2.4, 1.2 + 0.21 * lines.height))
    for number, (iteration, (colour, marker)) in enumerate(zip(iterations, _LOOKS, strict=False)):
        part = placed.filter(pl.col("iteration") == iteration)
        value, low, high = (
            (part[name] / part["spread"]).to_numpy().astype(np.float64) for name in ("change", "ci_low", "ci_high")
        )
        line = part["line"].to_numpy() + 0.24 * ((len(iterations) - 1) / 2 - number)
        spread = np.abs([value - low, high - value])
        axis.errorbar(value, line, xerr=spread, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
        sure = (part["p_adjusted"].fill_null(1.0) < 0.05).to_numpy()
        face = [colour if one else "white" for one in sure.tolist()]
        axis.scatter(
            value,
            line,
            marker=marker,
            s=20,
            edgecolors=colour,
            facecolors=face,
            zorder=3,
            label=f"iteration {iteration}",
        )
    axis.axvline(0, color="grey", lw=0.8)
    axis.set_yticks(
        lines["line"].to_numpy(), [literal(_name(*row)) for row in lines.select(_ROW).iter_rows()], fontsize=7
    )
    axis.set_xlabel("change / spread of the pairs' changes, 95 % interval\n(hollow: adjusted p is .05 or more)")
    axis.set_title(literal(title), fontsize=10)
    if iterations:
        axis.legend(frameon=False, fontsize=7)
    return png(figure)


def _name(measure: str, subject: str, user_kind: str) -> str:
    kind = "" if user_kind == "all" else user_kind
    return ", ".join(part for part in (measure.replace("_", " "), subject, kind) if part)
