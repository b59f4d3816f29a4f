"""What a report's sections are made of: tables and figures, with every cell as text that no page can mistake."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

DASH = "–"


@dataclass(frozen=True)
class Grid:
    """A table of the report.

    `numbers` are the places of columns that are aligned to the right; `grouped` rows begin with empty cells where they
    repeat the row above.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    grouped: bool = False

    @classmethod
    def of(cls, caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text: int = 1) -> Grid:
        """Cells as text; the first `text` columns hold words, the others numbers."""
        cells = tuple(tuple(shown(value) for value in row) for row in rows)
        return cls(caption, tuple(map(shown, columns)), cells, frozenset(range(text, len(columns))))

    def grouped_by(self, n_columns: int) -> Grid:
        """With the first columns empty wherever they repeat the row above."""
        rows = []
        for before, row in zip((None, *self.rows), self.rows, strict=False):
            same = 0
            while before is not None and same < n_columns and row[same] == before[same]:
                same += 1
            rows.append(("",) * same + row[same:])
        return replace(self, rows=tuple(rows), grouped=True)

    @classmethod
    def of_frame(cls, caption: str, frame: pl.DataFrame) -> Grid:
        """A frame as it is; numeric columns are aligned to the right."""
        numbers = frozenset(place for place, kind in enumerate(frame.dtypes) if kind.is_numeric())
        cells = tuple(tuple(shown(value) for value in row) for row in frame.iter_rows())
        return cls(caption, tuple(shown(name.replace("_", " ")) for name in frame.columns), cells, numbers)


@dataclass(frozen=True)
class Picture:
    """A figure of the report as PNG bytes."""

    caption: str
    image: bytes

    @property
    def source(self) -> str:
        """The picture itself as an address, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.image).decode()


def shown(value: object) -> str:
    """A value as the words of one cell: numbers short, nothing as a dash, marks that act on a reader as their codes."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    return harmless(str(value))


def number(value: float | None, *, signed: bool = False) -> str:
    """Two decimals below ten, one below a hundred, none above."""
    if value is None or value != value:
        return DASH
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    return text.replace("-", "−") if text.strip("+-0.,") else text.lstrip("+-")


def estimate(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`0.91 [0.88, 1.00]`; a dash where there is no value, and no brackets where there is no interval."""
    if value is None or value != value:
        return DASH
    if low is None or high is None:
        return number(value, signed=signed)
    return f"{number(value, signed=signed)} [{number(low, signed=signed)}, {number(high, signed=signed)}]"


def harmless(text: str) -> str:
    """Control characters, marks of direction and other unseen ones by their codes; line breaks and tabs stay."""
    return "".join(char if char in "\n\t" or unicodedata.category(char)[0] != "C" else _code(char) for char in text)


def _code(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
