"""Pictures are laid out and drawn once, and are those that matplotlib would save."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from influence_assets.pictures import DPI, bands, canvas, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def panels() -> Figure:
    figure, axes = canvas(8, 4, panels=2, rows=2)
    for number, one in enumerate(axes):
        one.errorbar([0, 1, 2], [number, 1, 10**number], yerr=0.3, label=f"a label as long as this one {number}")
        one.set_title(f"title {number}")
        one.legend()
    return figure


def rows() -> Figure:
    figure, grid = bands(8, 4, rows=2, panels=2)
    for row in grid:
        row[0].set_visible(True)
        row[0].set_ylabel("what is measured here")
    return figure


def test_a_picture_is_the_one_that_matplotlib_saves() -> None:
    for draw in (panels, rows):
        saved = io.BytesIO()
        draw().savefig(saved, format="png", dpi=DPI, metadata={"Software": None})
        assert png(draw()) == saved.getvalue()
