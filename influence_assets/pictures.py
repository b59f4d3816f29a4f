"""What all pictures share: a canvas without a screen, names as plain text, PNG bytes, metadata that the UI draws."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110


def canvas(
    width: float, height: float, *, panels: int = 1, rows: int = 1, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """An empty figure of so many inches, with `panels` side by side in each of `rows`; the panels row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen, and without touching pyplot's global state
    axes: list[Axes] = figure.subplots(rows, panels, sharey=share_y, squeeze=False).ravel().tolist()
    return figure, axes


def bands(width: float, height: float, *, rows: int, panels: int) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure of rows that are laid out each by itself, with room for so many panels; every panel is hidden
    until `set_visible(True)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    grid: list[list[Axes]] = [part.subplots(1, panels, squeeze=False)[0].tolist() for part in parts]
    for axes in (axes for row in grid for axes in row):
        axes.set_visible(False)
    return figure, grid


def png(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same picture. It is laid out for good: draw nothing more on it."""
    # With a layout to come `savefig` draws all of it once more for that alone: a third of the time.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi="figure", metadata={"Software": None})
    return buffer.getvalue()


def literal(text: str) -> str:
    """Names are data: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def picture(image: bytes, alt: str) -> dg.MetadataValue:
    """A PNG as metadata that the UI draws."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(image).decode()})")
