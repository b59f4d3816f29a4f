"""Pictures that only the report has: dose and response of steering, and all measures over checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from influence_assets.exports.report_parts import Picture
from influence_assets.pictures import canvas, literal, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 4
"""Panels side by side; what is more goes into another picture."""

PICTURES = 6
"""Pictures of one kind at most, so that the page can still be mailed."""

PANEL_INCHES = (2.2, 2.2)
"""Four panels then stand on the page in their own size, and fewer have letters as large."""

_MARKERS = "os^Dv<>Pph*X"


def dose_responses(curves: pl.DataFrame) -> Iterator[Picture]:
    """A picture per model and iteration, a panel per trait, a line per method. Rows as of `report_curves`."""
    groups = curves.group_by("model", "iteration", maintain_order=True)
    for (model, iteration), rows in list(groups)[:PICTURES]:
        traits = rows["trait"].unique(maintain_order=True).to_list()[:PANELS]
        figure, panels = _canvas(len(traits), share_y=True)
        for trait, axes in zip(traits, panels, strict=True):
            part = rows.filter(pl.col("trait") == trait)
            for number, ((method,), line) in enumerate(part.group_by("method", maintain_order=True)):
                _line(axes, line, "coefficient", "shift", marker=_MARKERS[number % len(_MARKERS)], label=str(method))
            axes.axhline(0.0, linestyle="--", color="grey", linewidth=0.8)
            axes.set_title(literal(str(trait)[:24]), fontsize=8)
            axes.set_xlabel("coefficient (mean residual norms)", fontsize=8)
        panels[0].set_ylabel("shift of P(high)", fontsize=8)
        panels[0].legend(frameon=False, fontsize=6)
        caption = f"{model}, iteration {iteration}: shift of each trait by strength of the push, with 95 % intervals."
        yield Picture(caption, png(figure))


def profiles(profile: pl.DataFrame) -> Iterator[Picture]:
    """Small panels, one per measure with more than one checkpoint. Rows as of `report_profile`."""
    for (model,), rows in list(profile.group_by("model", maintain_order=True))[:PICTURES]:
        several = rows.filter(pl.col("iteration").n_unique().over("measure") > 1)
        measures = several["measure"].unique(maintain_order=True).to_list()
        for start in range(0, len(measures), PANELS):
            shown = measures[start : start + PANELS]
            figure, panels = _canvas(len(shown), share_y=False)
            for measure, axes in zip(shown, panels, strict=True):
                part = several.filter(pl.col("measure") == measure)
                _line(axes, part, "iteration", "value", marker="o", label="")
                axes.set_xticks(part["iteration"].unique().sort().to_list())
                axes.set_title(literal(str(measure).replace("_", " ")[:28]), fontsize=8)
                axes.set_xlabel("iteration", fontsize=8)
            yield Picture(f"{model}: measures over checkpoints with 95 % intervals.", png(figure))


def _canvas(n_panels: int, *, share_y: bool) -> tuple[Figure, list[Axes]]:
    width, height = PANEL_INCHES
    figure, panels = canvas(width * n_panels, height, panels=n_panels, share_y=share_y)
    for axes in panels:
        axes.tick_params(labelsize=7)
    return figure, panels


def _line(axes: Axes, rows: pl.DataFrame, x: str, y: str, *, marker: str, label: str) -> None:
    ends = rows.sort(x).select(
        x=pl.col(x).cast(pl.Float64), y=y, low=pl.coalesce("ci_low", y), high=pl.coalesce("ci_high", y)
    )
    value = ends["y"].to_numpy()
    errors = np.abs(np.stack([value - ends["low"].to_numpy(), ends["high"].to_numpy() - value]))
    axes.errorbar(
        ends["x"].to_numpy(), value, yerr=errors, marker=marker, markersize=4, capsize=2, label=literal(label)
    )
