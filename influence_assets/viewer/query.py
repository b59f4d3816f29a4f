"""SQL: ask the published tables anything. Read only; no file, extension, setting or network is in reach."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import streamlit as st
from markupsafe import Markup

from influence_assets.viewer import widgets
from influence_assets.viewer.markup import element
from influence_assets.viewer.store import MAX_ROWS, QUERIES, TIMEOUT_S, Answer, Store
from influence_assets.viewer.text import visible
from resources.errors import InfluenceError

START = (QUERIES / "first_query.sql").read_text(encoding="utf-8").strip()


def show(store: Store) -> None:
    """The page."""
    widgets.heading(
        "SQL", f"One SELECT at a time on the published tables; at most {MAX_ROWS:,} rows and {TIMEOUT_S:g} seconds."
    )
    left, right = st.columns([5, 2], gap="large")
    with right:
        _tables(store)
    with left:
        _ask(store)


def _ask(store: Store) -> None:
    with st.form("ask", border=False):
        sql = st.text_area("query", START, height=190, key="q", bind="query-params")
        ran = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:", shortcut="Ctrl+Enter")
    if ran:
        st.session_state["asked"] = sql
    # Nothing runs because of an address alone: somebody has to press the button.
    asked = st.session_state.get("asked")
    if not asked or asked != sql:
        return
    try:
        answer = store.ask(asked)
    except InfluenceError as error:
        st.error("The query was not run to its end.", icon=":material/error:")
        st.code(visible(error), language=None)
        return
    _result(answer)


def _result(answer: Answer) -> None:
    cut = f"; only the first {MAX_ROWS:,} are shown" if answer.cut else ""
    st.caption(f"{answer.rows.height:,} rows in {answer.seconds:.2f} s{cut}")
    widgets.table(answer.rows, height=430)
    st.download_button(
        "Save as CSV",
        csv(answer.rows),
        file_name="query.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def csv(rows: pl.DataFrame) -> bytes:
    """The rows as CSV. Lists and maps are text; a spreadsheet is told that text which looks like a formula is none."""
    texts = widgets.as_text(rows)
    guarded = [
        pl.when(pl.col(name).str.contains(r"^[=+\-@\t]"))
        .then(pl.concat_str(pl.lit("'"), name))
        .otherwise(name)
        .alias(name)
        for name, kind in texts.schema.items()
        if kind == pl.String
    ]
    return texts.with_columns(guarded).write_csv().encode()


def _tables(store: Store) -> None:
    st.caption("Tables: click one to see its columns")
    st.html(described(store.landed(), store.rows("columns")))


def described(landed: Mapping[str, int], columns: pl.DataFrame) -> Markup:
    """Every table with its number of rows; opened, its columns with their types and comments."""
    tables = []
    for name, rows in landed.items():
        lines = [
            element("div", element("code", column), element("span", kind, css="kind"), comment)
            for column, kind, comment in columns.filter(pl.col("table_name") == name)
            .select("column_name", "type", "comment")
            .iter_rows()
        ]
        head = element("summary", element("code", name), element("span", f"{rows:,} rows", css="kind"))
        tables.append(element("details", head, *lines))
    return element("div", *tables, css="comments")
