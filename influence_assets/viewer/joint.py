"""Joint: every measure of every checkpoint together, how far each has moved from the untouched model, and with what."""

from __future__ import annotations

import polars as pl
import streamlit as st

from influence_assets.viewer import joint_plots as plots
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import one_line

_COMMAND = ".venv/bin/influence run 'key:\"joint/*\"' --model organism"


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Joint", "As a model is trained on what users like: what else moves with it?")
    if not store.has("joint.checkpoint_profile"):
        widgets.empty("No profile of checkpoints yet.", _COMMAND)
        return
    drawn = {"Drift": _drift, "Values": _values, "With harm": _with_harm}
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    with left:
        part = st.segmented_control(
            "part", list(drawn), default="Drift", key="part", bind="query-params", required=True
        )
    with right:
        model = widgets.choose("model", store.rows("profile_models")["model"].to_list(), "model")
    drawn[part or "Drift"](store, model)


def _drift(store: Store, model: str) -> None:
    rows = store.rows("drift", model=model)
    if rows.is_empty():
        widgets.empty("No drift yet: this model has no checkpoint beside the untouched one.", _COMMAND)
        return
    widgets.section(
        "Drift from the untouched model",
        "Paired differences from iteration 0: the same personas, items, texts, or initial states and seeds.",
    )
    _small_multiples(store, "drift", model, *_chosen(rows))
    widgets.table(rows, height=360)


def _values(store: Store, model: str) -> None:
    rows = store.rows("profile", model=model)
    widgets.section("Every checkpoint", "Each measure on its own scale; iteration 0 is the untouched model.")
    _small_multiples(store, "profile", model, *_chosen(rows))
    widgets.table(rows, height=360)


def _with_harm(store: Store, model: str) -> None:
    rows = store.rows("harm_moves", model=model)
    if rows.is_empty():
        widgets.empty("Nothing is known yet of what moves with harm.", _COMMAND)
        return
    widgets.section(
        "What moves with harm",
        "Over held-out initial states: does a measure change where harm changes? That makes neither the cause.",
    )
    iterations = rows["iteration"].unique().sort(descending=True).to_list()
    iteration = widgets.choose("iteration", iterations, "iteration")
    image = plots.with_harm(rows.filter(pl.col("iteration") == iteration), title=f"{model}, iteration {iteration}")
    widgets.figure(image, "with-harm", f"what moves with harm in iteration {iteration}")
    widgets.table(rows, height=360)


def _chosen(rows: pl.DataFrame) -> tuple[tuple[str, ...], str]:
    """Which measures are drawn (all unless somebody chooses), and whose replies stand for what a trait has."""
    names = rows["measure"].unique().sort().to_list()
    ordered = [*(one for one in plots.MEASURES if one in names), *(one for one in names if one not in plots.MEASURES)]
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    with left:
        measures = st.multiselect(
            "measures", ordered, ordered, key="measures", bind="query-params", format_func=one_line
        )
    with right:
        kinds = rows.filter(pl.col("subject") != "")["user_kind"].unique().sort().to_list()
        users = widgets.choose("traits in replies to", ["all", *(one for one in kinds if one != "all")], "users")
    return tuple(measures), users


def _small_multiples(store: Store, query: str, model: str, measures: tuple[str, ...], users: str) -> None:
    image = _over_iterations(store.stamp(), store, query, model, measures, users)
    widgets.figure(image, f"joint-{query}", f"{', '.join(measures)} of {model} over iterations")


@st.cache_data(show_spinner=False, max_entries=32)
def _over_iterations(
    stamp: str,  # noqa: ARG001
    _store: Store,
    query: str,
    model: str,
    measures: tuple[str, ...],
    users: str,
) -> bytes:
    rows = _store.rows(query, model=model).filter(pl.col("measure").is_in(measures))
    rows = plots.of_users(rows, users)
    column = "change" if query == "drift" else "value"
    what = "change from iteration 0" if query == "drift" else "every checkpoint"
    return plots.over_iterations(rows, column, title=f"{model}: {what}")
