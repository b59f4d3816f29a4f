"""Overview: what has run, what it cost, and whether the numbers can be trusted."""

from __future__ import annotations

import polars as pl
import streamlit as st
from markupsafe import Markup

from influence_assets.viewer import widgets
from influence_assets.viewer.markup import element
from influence_assets.viewer.store import Store


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Overview", "What has landed in data/influence.duckdb, what it cost, and whether it is sound.")
    if not store.has("ledger.materializations"):
        widgets.empty("Nothing has run yet.", "make demo            # or: .venv/bin/influence run '*' --model my-model")
        return
    totals = store.rows("overview_totals").row(0, named=True)
    asked = totals["requests"]
    widgets.cards(
        [
            ("checkpoints", f"{totals['checkpoints']:,}", "untouched models included"),
            ("conversations", f"{totals['conversations']:,}", "training, held-out, control"),
            ("answers", f"{totals['responses']:,}", "of personas about statements"),
            ("requests", f"{asked:,}", f"{_share(totals['cache_hits'], asked)} from the cache"),
            ("tokens", _compact(totals["tokens"]), "in and out"),
            ("cost", f"${totals['cost']:,.2f}", "at the prices of data/models.yaml"),
        ]
    )
    health, requests = st.columns([5, 7], gap="large")
    with health:
        widgets.section("Health", "Shares that came to nothing. ▲ marks those above their limit.")
        st.html(health_list(store.rows("overview_health")))
    with requests:
        widgets.section("What models were asked")
        widgets.table(store.rows("overview_requests"))
    widgets.section(
        "What has run", f"Latest materialization of each asset and partition. Published {_time(totals)} UTC."
    )
    _runs(store.rows("overview_runs"))
    with st.expander("Rows per table"):
        widgets.table(store.rows("landed"))


def health_list(rows: pl.DataFrame) -> Markup:
    """Rows of `sql/overview_health.sql`: a mark, what is measured, its share and out of how many."""
    cells: list[Markup] = []
    for measure, share, limit, n in rows.filter(pl.col("n") > 0).iter_rows():
        look = share > limit
        cells += [
            element("span", "▲" if look else "✓", css=f"mark {'look' if look else 'fine'}"),
            element("span", measure),
            element("span", f"{share:.2%}", css="share", title=f"limit {limit:.0%}"),
            element("span", f"of {n:,}", css="n"),
        ]
    return element("div", *cells, css="health")


def _runs(rows: pl.DataFrame) -> None:
    shown = widgets.as_text(rows.select("asset", "partition", "rows", "seconds", "finished_at", "reused", "git_commit"))
    longest = max(1.0, float(rows["seconds"].cast(pl.Float64).max() or 1.0))  # type: ignore[arg-type]
    st.dataframe(
        shown,
        hide_index=True,
        height=widgets.fitting(shown, 460),
        column_config={
            "seconds": st.column_config.ProgressColumn("seconds", format="%.1f s", min_value=0.0, max_value=longest),
            "finished_at": st.column_config.DatetimeColumn("finished (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "reused": st.column_config.CheckboxColumn("kept: nothing changed"),
            "git_commit": st.column_config.TextColumn("commit", width="small"),
        },
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def _compact(number: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:,}"


def _time(totals: dict[str, object]) -> str:
    return f"{totals['published_at']:%Y-%m-%d %H:%M:%S}"
