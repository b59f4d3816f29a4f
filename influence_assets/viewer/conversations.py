"""Conversations: filter, read turn by turn with what the judges said, and put two checkpoints side by side."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import streamlit as st

from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store, Value
from influence_assets.viewer.text import one_line
from influence_assets.viewer.transcript import facts, transcript

PER_PAGE = 100
MESSAGES = 100
SORTS = ("reward, highest first", "reward, lowest first", "veto, highest first", "initial state")
OPEN, BESIDE = "conversation", "beside"
_SHOWN = {
    "iteration": "it.",
    "reward": "reward",
    "veto": "veto",
    "environment": "environment",
    "verdict": "verdict",
    "split": "split",
    "condition": "condition",
    "user_kind": "user",
    "model": "model",
}


@dataclass(frozen=True)
class Listed:
    """The conversations that pass the filters, in order, and the one that is open."""

    rows: pl.DataFrame
    open_id: str

    @property
    def place(self) -> int | None:
        """Where the open one stands in the list; None when the filters leave it out."""
        ids = self.rows["conversation_id"]
        return ids.index_of(self.open_id)


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Conversations", "What was said, how each reply was rated, and what oversight made of it.")
    if not store.has("influence.conversations"):
        widgets.empty(
            "No conversations yet.", ".venv/bin/influence run 'key:\"influence/*\"' --model organism    # or: make demo"
        )
        return
    rows = store.rows("conversation_list", **_filters(store))
    listed = Listed(rows, st.query_params.get(OPEN) or (rows["conversation_id"][0] if rows.height else ""))
    left, right = st.columns([2, 5] if st.query_params.get(BESIDE) else [2, 3], gap="medium")
    with left:
        _list(listed)
    with right:
        _paging(listed)
        _one(store, listed)


def _filters(store: Store) -> dict[str, Value]:
    options = store.rows("conversation_options").row(0, named=True)
    with st.sidebar:
        st.subheader("Filters", anchor=False)
        filters: dict[str, Value] = {
            "environment": widgets.narrow("environment", options["environment"], "environment")
        }
        for pair in (("model", "iteration"), ("user_kind", "verdict"), ("split", "condition")):
            for column, name in zip(st.columns(2, gap="small"), pair, strict=True):
                with column:
                    filters[name] = widgets.narrow(name.replace("_", " "), options[name], name)
        filters["reward_low"], filters["reward_high"] = _reward_range(options["reward_low"], options["reward_high"])
        filters["says"] = st.text_input("says", key="says", bind="query-params", placeholder="words in it") or None
        filters["sort"] = widgets.choose("order", SORTS, "sort")
    return filters


def _reward_range(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Ends of the reward filter; None where the slider stands at the end, so that unrated conversations pass."""
    if low is None or high is None or low >= high:
        return None, None
    bottom, top = float(int(low)), float(int(high) + 1)
    chosen = st.slider("reward", bottom, top, (bottom, top), step=0.1, key="reward", bind="query-params")
    return (chosen[0] if chosen[0] > bottom else None), (chosen[1] if chosen[1] < top else None)


def _list(listed: Listed) -> None:
    if listed.rows.is_empty():
        st.info("No conversation passes these filters.", icon=":material/filter_alt_off:")
        return
    pages = -(-listed.rows.height // PER_PAGE)
    page = 1
    if pages > 1:
        page = st.pagination(pages, key="page", bind="query-params", max_visible_pages=5)
    start = (page - 1) * PER_PAGE
    part = listed.rows.slice(start, PER_PAGE)
    place = listed.place
    inside = [place - start] if place is not None and start <= place < start + part.height else []
    # The key names what is shown: a table that was selected in before forgets that when the list or the choice changes.
    key = f"list-{page}-{listed.open_id}-{part['conversation_id'].hash().sum()}"
    st.dataframe(
        widgets.as_text(part.select(*_SHOWN).rename(_SHOWN)),
        hide_index=True,
        placeholder="–",
        height=widgets.fitting(part, 640),
        key=key,
        on_select=lambda: _select(key, part),
        selection_mode="single-row",
        selection_default={"selection": {"rows": inside}},
        column_config={
            "environment": st.column_config.TextColumn(width=165),
            "it.": st.column_config.NumberColumn(width=40, help="iteration of the checkpoint"),
            "reward": st.column_config.NumberColumn(format="%.2f", width=68),
            "veto": st.column_config.NumberColumn(format="%.2f", width=58),
            "verdict": st.column_config.TextColumn(width=75),
        },
    )
    st.caption(f"{listed.rows.height:,} conversations")


def _select(key: str, part: pl.DataFrame) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        st.query_params[OPEN] = part["conversation_id"][rows[0]]


def _paging(listed: Listed) -> None:
    """Back and forth through the list, also with the arrow keys."""
    place, n = listed.place, listed.rows.height
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, key, step, icon in (
            ("Previous", "Left", -1, ":material/arrow_back:"),
            ("Next", "Right", +1, ":material/arrow_forward:"),
        ):
            # From one that the filters leave out, Next leads to the first that they let through.
            target = place + step if place is not None else 0 if step > 0 else None
            there = target is not None and 0 <= target < n
            st.button(
                label,
                on_click=_open,
                args=(listed.rows, target),
                shortcut=key,
                icon=icon,
                disabled=not there,
                key=label,
            )
        st.text(f"{place + 1:,} of {n:,}" if place is not None else "not among the filtered ones")


def _open(rows: pl.DataFrame, place: int) -> None:
    st.query_params[OPEN] = rows["conversation_id"][place]
    if rows.height > PER_PAGE:
        st.session_state["page"] = place // PER_PAGE + 1


def _one(store: Store, listed: Listed) -> None:
    if not listed.open_id:
        return
    found = store.rows("conversation", conversation=listed.open_id)
    if found.is_empty():
        st.warning("The address names a conversation that is not in the tables.", icon=":material/search_off:")
        return
    others = store.rows("siblings", conversation=listed.open_id)
    other_id = _beside(others, found["model"][0])
    if other_id is None:
        _conversation(store, listed.open_id)
        return
    for column, conversation_id in zip(st.columns(2, gap="medium"), (listed.open_id, other_id), strict=True):
        with column:
            _conversation(store, conversation_id)


def _beside(others: pl.DataFrame, model: str) -> str | None:
    """The conversation to show beside: the same initial state and sample under another checkpoint or condition."""
    if others.is_empty():
        return None
    names = {
        _checkpoint(row["model"], row["iteration"], row["condition"], model): row["conversation_id"]
        for row in others.iter_rows(named=True)
    }
    chosen = widgets.narrow("beside it, from the same initial state and sample", list(names), BESIDE, none="nothing")
    return names[chosen] if chosen else None


def _checkpoint(model: str, iteration: int, condition: str, own: str) -> str:
    whose = "" if model == own else f"{one_line(model)}, "
    return f"{whose}iteration {iteration}, {condition}"


def _conversation(store: Store, conversation_id: str) -> None:
    row = store.rows("conversation", conversation=conversation_id).row(0, named=True)
    st.html(
        facts(
            [
                ("model", f"{row['model']}, iteration {row['iteration']}"),
                ("environment", row["environment"]),
                ("user", row["user_kind"]),
                ("state", f"{row['initial_state_id']}, sample {row['sample']}"),
                ("split", f"{row['split']}, {row['condition']}"),
                ("reward", _number(row["reward"])),
                ("veto", _number(row["veto"])),
                ("verdict", row["verdict"] or ""),
                ("stance", _stance(store.rows("stances", conversation=conversation_id), row["condition"])),
                ("ended in", row["final_state"] or ""),
                ("status", row["status"] if row["status"] == "ok" else f"{row['status']}: {row['detail']}"),
            ]
        )
    )
    first = store.rows("turns", conversation=conversation_id, limit=1, offset=0)
    messages = first["n"][0] if first.height else 0
    page = 1
    if messages > MESSAGES:
        page = st.pagination(-(-messages // MESSAGES), key=f"messages-{conversation_id}", max_visible_pages=7)
    turns = store.rows("turns", conversation=conversation_id, limit=MESSAGES, offset=(page - 1) * MESSAGES)
    st.html(transcript(turns, store.rows("judgements", conversation=conversation_id)))


def _stance(rows: pl.DataFrame, condition: str) -> str:
    """Before and after, as `2.10 → 3.40`."""
    own = dict(rows.filter(pl.col("condition") == condition).select("moment", "expected").iter_rows())
    before, after = own.get("pre"), own.get("post")
    return "" if before is None or after is None else f"{before:.2f} → {after:.2f}"


def _number(value: float | None) -> str:
    return "void" if value is None else f"{value:.2f}"
