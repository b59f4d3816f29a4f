"""Pictures of the joint page as PNG bytes: every measure over iterations in small panels, and what moves with harm."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from influence_assets.pictures import bands, canvas, png
from influence_assets.viewer.plot_parts import ends, name, nothing
from influence_assets.viewer.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = (
    *("reward", "harm", "targeting_gap", "stance_shift"),
    *("sensitivity", "gain", "trait_score", "projection_replies", "projection_words"),
    "projection_neutral",
)
"""In the order in which they are drawn; others follow."""
MOST_PANELS = 64
_COLUMNS = 8
_INK = "#0072B2"
_SURE = 0.05


class Place(NamedTuple):
    """Where a panel stands; `first`: it is the first one of its measure in its row."""

    row: int
    column: int
    first: bool


def over_iterations(rows: pl.DataFrame, column: str, *, title: str) -> bytes:
    """A panel for every measure, subject and kind of user: `column` with its 95 % interval over iterations.

    `rows`: rows of `sql/profile.sql` (column `value`; each panel on its own scale) or of `sql/drift.sql` (column
    `change`; a measure's panels share a scale, lines start at 0 in iteration 0, filled markers have an adjusted p below
    .05, z is against directions of shuffled labels in the last iteration). The first 64 panels are drawn.
    """
    drift = column == "change"
    panels = _panels(rows)
    if not panels:
        return nothing(title)
    blocks: dict[str, int] = {}
    for measure, *_ in panels:
        blocks[measure] = blocks.get(measure, 0) + 1
    places = places_of(list(blocks.values()), _COLUMNS)
    down = places[-1].row + 1
    across = max(place.column for place in places) + 1
    figure, grid = bands(0.6 + 1.42 * across, 0.7 + 1.62 * down, rows=down, panels=across)
    last = max(rows["iteration"].to_list())
    for (measure, subject, kind), place in zip(panels, places, strict=True):
        of_measure = rows.filter(pl.col("measure") == measure)
        part = of_measure.filter((pl.col("subject") == subject) & (pl.col("user_kind") == kind)).sort("iteration")
        axes = grid[place.row][place.column]
        axes.set_visible(True)
        _line(axes, part, column, drift=drift)
        axes.set_xlim(-0.35, last + 0.35)
        axes.set_xticks(_ticks(last))
        axes.tick_params(labelsize=6.5, length=2)
        _words(axes, measure, subject, kind, part, alone=blocks[measure] == 1, first=place.first)
        if drift:
            axes.set_ylim(*_limits(of_measure))
            axes.tick_params(axis="y", labelleft=place.first)
    note = (
        "iteration   (95 % intervals; filled: adjusted p below .05; z: against directions of shuffled labels)"
        if drift
        else "iteration   (95 % intervals; each panel on its own scale)"
    )
    figure.supxlabel(note, fontsize=8)
    figure.suptitle(name(title, 90), fontsize=10)
    return png(figure)


def of_users(rows: pl.DataFrame, users: str) -> pl.DataFrame:
    """Of measures that have subjects only what was said to these users, where that is told apart; all of the others."""
    of_subjects = pl.col("subject") != ""
    told_apart = rows.filter(of_subjects & (pl.col("user_kind") == users))["measure"].unique().to_list()
    return rows.filter(~(of_subjects & pl.col("measure").is_in(told_apart)) | (pl.col("user_kind") == users))


def places_of(blocks: list[int], columns: int) -> list[Place]:
    """Places for blocks of panels in rows of so many: a block that does not fit in the rest of a row begins a new one,
    and one that is longer than a row goes on in the next."""
    places: list[Place] = []
    row = column = 0
    for size in blocks:
        if column and column + size > columns:
            row, column = row + 1, 0
        for number in range(size):
            if column == columns:
                row, column = row + 1, 0
            places.append(Place(row, column, first=number == 0 or column == 0))
            column += 1
    return places


def with_harm(rows: pl.DataFrame, *, title: str) -> bytes:
    """One line per measure and subject: the rank correlation of its change with harm's, with its 95 % interval.

    `rows`: rows of `sql/harm_moves.sql` of one iteration.
    """
    lines = rows.drop_nulls("correlation").sort("measure", "correlation").head(MOST_PANELS)
    if lines.is_empty():
        return nothing(title)
    figure, (axes,) = canvas(9.0, 1.4 + 0.26 * lines.height)
    y = np.arange(lines.height)
    value, *spread = ends(lines, "correlation")
    axes.errorbar(value, y, xerr=spread, fmt="o", color=_INK, capsize=3)
    axes.axvline(0.0, color="grey", linewidth=0.8)
    labels = [
        ", ".join(filter(None, (_spoken(m), one_line(s, 30)))) for m, s in lines.select("measure", "subject").rows()
    ]
    axes.set_yticks(y, [name(label, 60) for label in labels], fontsize=8)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xlabel("rank correlation with the change in harm over held-out initial states, 95 % interval", fontsize=9)
    axes.set_title(name(title, 90), fontsize=10)
    return png(figure)


def _panels(rows: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Measure, subject and kind of user of every panel, in the order of `MEASURES`; all users before some."""
    found = rows.select("measure", "subject", "user_kind").unique().rows()
    order = {measure: number for number, measure in enumerate(MEASURES)}
    return sorted(found, key=lambda one: (order.get(one[0], len(order)), one[0], one[1], one[2] != "all", one[2]))[
        :MOST_PANELS
    ]


def _line(axes: Axes, part: pl.DataFrame, column: str, *, drift: bool) -> None:
    known = part.drop_nulls(column)
    value, *spread = ends(known, column)
    x = known["iteration"].cast(pl.Float64).to_numpy()
    if drift:
        axes.axhline(0.0, color="grey", linewidth=0.7)
        axes.plot([0.0, *x], [0.0, *value], color=_INK, linewidth=1.1)
        sure = (known["p_adjusted"].fill_null(1.0) < _SURE).to_list()
    else:
        axes.plot(x, value, color=_INK, linewidth=1.1)
        sure = [True] * known.height
    axes.errorbar(x, value, yerr=spread, fmt="none", ecolor=_INK, elinewidth=1.1, capsize=2.5)
    face = [_INK if one else "white" for one in sure]
    axes.scatter(x, value, s=22, edgecolors=_INK, facecolors=face, zorder=3)


def _words(axes: Axes, measure: str, subject: str, kind: str, part: pl.DataFrame, *, alone: bool, first: bool) -> None:
    """The measure stands at the side of its first panel, or above it where it has only one; the unit at the side."""
    who = ", ".join(filter(None, (subject, "" if kind == "all" else kind))) or ("" if alone else "all users")
    unit = "\n".join(textwrap.wrap(one_line(part["unit"].drop_nulls().first() or "", 60), 24))
    above = [_spoken(measure), who] if alone else [who]
    axes.set_title("\n".join(name(line, 22) for line in above if line), fontsize=7.5)
    if first:
        said = alone or unit.startswith(_spoken(measure))
        side = unit if said else f"{_spoken(measure)}\n{unit}"
        axes.set_ylabel("\n".join(name(line, 34) for line in side.split("\n")), fontsize=6.5)
    z = part["z_shuffled"].drop_nulls() if "z_shuffled" in part.columns else pl.Series([])
    if z.len():
        axes.annotate(f"z {z[-1]:+.1f}", (0.97, 0.96), xycoords="axes fraction", ha="right", va="top", fontsize=6.5)


def _spoken(measure: str) -> str:
    return one_line(measure.replace("_", " "), 34)


def _ticks(last: int) -> list[int]:
    return list(range(0, last + 1, max(1, -(-last // 4))))


def _limits(of_measure: pl.DataFrame) -> tuple[float, float]:
    """Room for all intervals of a measure, for 0, and for words above them."""
    value, below, above = ends(of_measure.drop_nulls("change"), "change")
    low, high = float(np.min(value - below, initial=0.0)), float(np.max(value + above, initial=0.0))
    room = 0.12 * (high - low) or 0.1
    return low - room, high + 2 * room
