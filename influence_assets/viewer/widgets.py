"""What all pages share: filters that live in the address, tables and figures of other people's text, empty states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import streamlit as st

from influence_assets.viewer.markup import element
from influence_assets.viewer.text import markdown, one_line, visible

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

EVERYTHING = "all"
_HEAD_PX, _ROW_PX, _TALL = 38, 35, 400

Option = TypeVar("Option", str, int)


def choose(label: str, options: Sequence[Option], key: str, *, first: int = 0) -> Option:
    """One of several, kept in the address as `?key=`. `options` must not be empty."""
    return st.selectbox(label, options, index=first, format_func=one_line, key=key, bind="query-params")


def narrow(label: str, options: Sequence[Option], key: str, *, none: str = EVERYTHING) -> Option | None:
    """A filter: one of the options, or None for no choice, shown as `none`; kept in the address as `?key=`."""
    chosen = st.selectbox(
        label, options, index=None, format_func=one_line, key=key, bind="query-params", placeholder=none
    )
    return chosen if chosen in options else None


def heading(title: str, about: str) -> None:
    """The head of a page: both are ours, not data."""
    st.title(title, anchor=False)
    st.caption(about)


def section(title: str, about: str = "") -> None:
    """A part of a page, with one sentence on how to read it."""
    st.subheader(title, anchor=False)
    if about:
        st.caption(about)


def empty(what: str, command: str) -> None:
    """Nothing there yet: what it would be, and what to run."""
    with st.container(border=True):
        st.markdown(f"**{markdown(what)}**")
        st.caption("Run this, and the page fills by itself while rows land:")
        st.code(command, language=None)


def table(frame: pl.DataFrame, *, height: int | None = None, columns: Mapping[str, str] | None = None) -> None:
    """Rows as a table. Cells are text, lists and maps included; `columns` renames what is shown."""
    shown = as_text(frame.rename(dict(columns or {}), strict=False))
    st.dataframe(
        shown, hide_index=True, height=fitting(shown, height or _TALL), placeholder="–", column_config=_formats(shown)
    )


def fitting(frame: pl.DataFrame, most: int) -> int:
    """Height in pixels of a table that shows all its rows, or `most` where it has more."""
    return min(most, _HEAD_PX + _ROW_PX * max(1, frame.height))


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every text, list and map as visible text; numbers, booleans and times stay as they are."""
    texts = [
        pl.Series(name, [None if value is None else visible(value) for value in column.to_list()], dtype=pl.String)
        for name, column in zip(frame.columns, frame.iter_columns(), strict=True)
        if column.dtype in (pl.String, pl.Object, pl.Binary) or column.dtype.is_nested()
    ]
    return frame.with_columns(texts).rename(_names(frame.columns))


def _names(columns: Sequence[str]) -> dict[str, str]:
    """Visible names for columns; where two would look the same, the later ones are numbered."""
    shown: dict[str, str] = {}
    for name in columns:
        seen, number = visible(name), 2
        while seen in shown.values():
            seen, number = f"{visible(name)} ({number})", number + 1
        shown[name] = seen
    return shown


def figure(image: bytes, name: str, about: str) -> None:
    """A picture that can be saved as PNG; `about` says in words what it shows."""
    st.image(image, width="content", alt=visible(about), output_format="PNG")
    st.download_button(
        "Save as PNG",
        image,
        file_name=f"{name}.png",
        mime="image/png",
        key=f"save-{name}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def cards(numbers: Sequence[tuple[str, str, str]]) -> None:
    """A row of figures: label, value, and a line below that says what to compare it with."""
    boxes = [
        element(
            "div",
            element("div", label, css="label"),
            element("div", value, css="value"),
            element("div", note, css="note"),
            css="card",
        )
        for label, value, note in numbers
    ]
    st.html(element("div", *boxes, css="cards"))


def _formats(frame: pl.DataFrame) -> dict[str, ColumnConfig]:
    numbers = (name for name, kind in frame.schema.items() if kind.is_float())
    return {name: st.column_config.NumberColumn(format="%.3g") for name in numbers}
