"""Pictures for the UI, as PNG bytes: the matrix as a heat map, scores with intervals and chance levels.

Colours run from dark to light (cividis: the same to colour-blind eyes and in grey), and no meaning hangs on hue alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

_MAX_LABELS = 40


def heat_map(
    matrix: pl.DataFrame, *, method: str, n_steer: int, title: str, order: Sequence[str], labels: Sequence[str] = ()
) -> bytes:
    """Accuracy of every steered persona (rows) on every test persona (columns), own tests framed.

    `matrix`: rows of `steerability.matrix` of one model and iteration; `order`: persona ids in the order to draw, such
    as the dendrogram's; `labels`: their names, ids when absent. Unmeasured cells stay white with a cross hatch.
    """
    place = {persona_id: number for number, persona_id in enumerate(order)}
    accuracy_P_Q = np.full((len(order), len(order)), np.nan)
    cells = matrix.filter((pl.col("method") == method) & (pl.col("n_steer") == n_steer))
    for steered, test, accuracy in cells.select("steered_persona_id", "test_persona_id", "accuracy").iter_rows():
        if steered in place and test in place and accuracy is not None:
            accuracy_P_Q[place[steered], place[test]] = accuracy
    figure, axes = _figure(max(5.0, min(12.0, 2.6 + 0.22 * len(order))))
    axes.set_facecolor("white")
    axes.patch.set(hatch="xx", edgecolor="lightgrey")
    image = axes.imshow(accuracy_P_Q, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    for number in range(len(order)):
        axes.add_patch(_frame(number))
    shown = [_literal(_short(label)) for label in (labels or order)]
    step = max(1, -(-len(shown) // _MAX_LABELS))
    ticks = np.arange(0, len(shown), step)
    axes.set_xticks(ticks, shown[::step], rotation=90, fontsize=7)
    axes.set_yticks(ticks, shown[::step], fontsize=7)
    axes.set_xlabel("tested on the statements of")
    axes.set_ylabel("steered to")
    axes.set_title(_literal(f"{title}: {method}, {n_steer} statements shown"), fontsize=10)
    figure.colorbar(image, ax=axes, label="accuracy (share of right answers; chance .5)", shrink=0.8)
    return _png(figure)


def score_plot(summary: pl.DataFrame, *, score: str, title: str) -> bytes:
    """One score of every method with its 95 % interval, and its chance level as a dashed line.

    `summary`: rows of `steerability.summary` of one model and iteration. Methods without the score are left out.
    """
    rows = summary.filter((pl.col("score") == score) & (pl.col("framework") == "") & pl.col("value").is_not_null())
    rows = rows.sort("value", "method", "n_steer")
    names = [f"{method} ({n})" if n else str(method) for method, n in rows.select("method", "n_steer").iter_rows()]
    value = rows["value"].to_numpy()
    figure, axes = _figure(6.5, 1.6 + 0.32 * max(1, len(names)))
    place = np.arange(len(names))
    ends = rows.select(pl.coalesce("ci_low", "value").alias("low"), pl.coalesce("ci_high", "value").alias("high"))
    errors = np.abs(np.stack([value - ends["low"].to_numpy(), ends["high"].to_numpy() - value]))
    axes.errorbar(value, place, xerr=errors, fmt="o", color="black", capsize=3)
    for chance in rows["chance"].drop_nulls().unique().to_list():
        axes.axvline(chance, linestyle="--", color="grey", label=f"chance {chance:.3g}")
    axes.set_yticks(place, [_literal(_short(name, 40)) for name in names])
    axes.set_xlabel(f"{score} (bars: 95 % interval)")
    axes.set_title(_literal(title), fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8)
    axes.margins(y=0.15)
    return _png(figure)


def _figure(width: float, height: float | None = None) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height or width * 0.85), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _frame(number: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((number - 0.5, number - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=0.8)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _short(text: str, limit: int = 18) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _literal(text: str) -> str:
    """Names are data: a dollar sign starts no formula."""
    return text.replace("$", r"\$")
