"""Pictures for the UI, as PNG bytes: the matrix as a heat map, scores with intervals and chance levels.

Colours run from dark to light (cividis: the same to colour-blind eyes and in grey), and no meaning hangs on hue alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, literal, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

_MAX_LABELS = 40


def clearest_method(matrix: pl.DataFrame) -> tuple[str, int]:
    """The method and n_steer with the highest mean accuracy on the own persona: the one worth a picture.

    `matrix`: rows of `steerability.matrix` of one model and iteration, at least one.
    """
    own = matrix.filter(pl.col("steered_persona_id") == pl.col("test_persona_id"))
    ranked = (
        own.group_by("method", "n_steer").agg(pl.col("accuracy").mean()).sort("accuracy", "method", descending=True)
    )
    return str(ranked["method"][0]), int(ranked["n_steer"][0])


def heat_map(
    matrix: pl.DataFrame, *, method: str, n_steer: int, title: str, order: Sequence[str], labels: Sequence[str] = ()
) -> bytes:
    """Accuracy of every steered persona (rows) on every test persona (columns), own tests framed.

    `matrix`: rows of `steerability.matrix` of one model and iteration; `order`: persona ids in the order to draw, such
    as the dendrogram's; `labels`: what to call them, their ids when absent. Unmeasured cells are hatched.
    """
    cells = matrix.filter((pl.col("method") == method) & (pl.col("n_steer") == n_steer))
    place = {persona_id: number for number, persona_id in enumerate(order)}
    accuracy_P_Q = np.full((len(order), len(order)), np.nan)
    for steered, test, accuracy in cells.select("steered_persona_id", "test_persona_id", "accuracy").iter_rows():
        if steered in place and test in place and accuracy is not None:
            accuracy_P_Q[place[steered], place[test]] = accuracy
    width = max(5.0, min(12.0, 2.6 + 0.22 * len(order)))
    figure, (axes,) = canvas(width, width * 0.85)
    axes.patch.set(facecolor="white", hatch="xx", edgecolor="lightgrey")
    image = axes.imshow(accuracy_P_Q, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    for number in range(len(order)):
        axes.add_patch(_frame(number))
    shown = [literal(_short(label)) for label in (labels or order)]
    step = max(1, -(-len(shown) // _MAX_LABELS))
    ticks = np.arange(0, len(shown), step)
    axes.set_xticks(ticks, shown[::step], rotation=90, fontsize=7)
    axes.set_yticks(ticks, shown[::step], fontsize=7)
    axes.set_xlabel("tested on the statements of")
    axes.set_ylabel("steered to")
    axes.set_title(literal(title + (f", {n_steer} statements shown" if n_steer else "")), fontsize=10)
    figure.colorbar(image, ax=axes, label="accuracy (share of right answers; chance .5)", shrink=0.8)
    return png(figure)


def score_plot(summary: pl.DataFrame, *, score: str | Sequence[str], title: str) -> bytes:
    """One panel per score: every method with its 95 % interval, chance as a dashed line, the best on top.

    `summary`: rows of `steerability.summary` of one model and iteration. A method without a score has no point.
    """
    scores = [score] if isinstance(score, str) else list(score)
    overall = summary.filter(pl.col("framework") == "")
    runs = overall.filter(pl.col("score") == scores[0]).sort("value", "method", "n_steer")
    labels = [f"{method} ({n})" if n else str(method) for method, n in runs.select("method", "n_steer").iter_rows()]
    figure, panels = canvas(2.6 + 2.4 * len(scores), 1.6 + 0.3 * max(1, len(labels)), panels=len(scores))
    for name, axes in zip(scores, panels, strict=True):
        rows = runs.select("method", "n_steer").join(
            overall.filter(pl.col("score") == name), on=["method", "n_steer"], how="left", maintain_order="left"
        )
        _points(axes, rows)
        axes.set_yticks(np.arange(len(labels)), [literal(_short(label, 40)) for label in labels])
        axes.set_xlabel(f"{name}, 95 % interval\n(dashed: chance)")
    figure.suptitle(literal(title), fontsize=10)
    return png(figure)


def _points(axes: Axes, rows: pl.DataFrame) -> None:
    ends = (
        rows.select("value", low=pl.coalesce("ci_low", "value"), high=pl.coalesce("ci_high", "value"))
        .cast(pl.Float64)
        .fill_null(float("nan"))
    )
    value, low, high = (ends[name].to_numpy() for name in ("value", "low", "high"))
    errors = np.stack([value - low, high - value])
    axes.errorbar(value, np.arange(len(value)), xerr=np.abs(errors), fmt="o", color="black", capsize=3)
    for chance in rows["chance"].drop_nulls().unique().to_list():
        axes.axvline(chance, linestyle="--", color="grey")
    axes.margins(y=0.1)


def _frame(number: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((number - 0.5, number - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=0.8)


def _short(text: str, limit: int = 18) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
