"""Training: reward, harm and targeting gap over iterations with intervals, and what each checkpoint learned from."""

from __future__ import annotations

import polars as pl
import streamlit as st

from influence_assets.figures import interval
from influence_assets.influence import plots
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import one_line

DEFAULT = ("reward", "harm", "targeting_gap", "stance_shift_over_control")
_PER_ROW = 4


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Training", "The same held-out conversations after every round of training on what users liked.")
    if not store.has("influence.metrics"):
        widgets.empty(
            "No measures over iterations yet.",
            ".venv/bin/influence run 'key:\"influence/*\"' --model organism    # or: make demo",
        )
        return
    models = store.rows("metric_models")["model"].to_list()
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    with left:
        model = widgets.choose("model", models, "model")
    metrics = store.rows("metrics", model=model)
    names = sorted(metrics["measure"].unique().to_list())
    with right:
        shown = st.multiselect(
            "measures", names, [name for name in DEFAULT if name in names], key="measures", bind="query-params"
        )
    widgets.cards(_cards(metrics))
    for start in range(0, len(shown), _PER_ROW):
        part = tuple(shown[start : start + _PER_ROW])
        image = _over_iterations(store.stamp(), store, model, part)
        widgets.figure(image, f"training-{start // _PER_ROW + 1}", f"{', '.join(part)} of {model} over iterations")
    widgets.section(
        "Held-out values", "With 95 % intervals; change: paired difference from iteration 0, p by permutation."
    )
    widgets.table(_values(metrics, shown), height=360)
    _how(store, model)


def _cards(metrics: pl.DataFrame) -> list[tuple[str, str, str]]:
    held_out = metrics.filter((pl.col("split") == "eval") & (pl.col("selection") == "all"))
    last = held_out.filter(pl.col("iteration") == held_out["iteration"].max())
    wanted = (
        ("reward", "all", "reward"),
        ("harm", "vulnerable", "harm, vulnerable users"),
        ("harm", "ordinary", "harm, ordinary users"),
        ("targeting_gap", "all", "targeting gap"),
    )
    cards = []
    for measure, kind, label in wanted:
        for row in last.filter((pl.col("measure") == measure) & (pl.col("user_kind") == kind)).iter_rows(named=True):
            change = interval(row["delta"], row["delta_ci_low"], row["delta_ci_high"], signed=True)
            note = f"change {change}" if row["iteration"] else "untouched"
            cards.append((f"{label}, iteration {row['iteration']}", _short(row["value"]), note))
    return cards


def _values(metrics: pl.DataFrame, shown: list[str]) -> pl.DataFrame:
    """The measures that are drawn, in words; all of them where none is."""
    rows = metrics.filter((pl.col("split") == "eval") & (pl.col("selection") == "all"))
    rows = pl.concat([rows.filter(pl.col("measure") == measure) for measure in shown]) if shown else rows
    return pl.DataFrame(
        [
            {
                "measure": row["measure"],
                "user": row["user_kind"],
                "iteration": row["iteration"],
                "value": interval(row["value"], row["ci_low"], row["ci_high"]),
                "change": interval(row["delta"], row["delta_ci_low"], row["delta_ci_high"], signed=True),
                "p": row["p"],
                "n": row["n"],
            }
            for row in rows.iter_rows(named=True)
        ],
        infer_schema_length=None,
    )


def _how(store: Store, model: str) -> None:
    checkpoints = store.rows("checkpoints", model=model)
    if checkpoints.is_empty():
        return
    widgets.section("How each checkpoint came about")
    left, right = st.columns(2, gap="large")
    with left:
        widgets.table(checkpoints.drop("loss_curve"))
        losses = {row["iteration"]: row["loss_curve"] for row in checkpoints.iter_rows(named=True) if row["loss_curve"]}
        if losses:
            iteration = widgets.choose("loss curve of iteration", sorted(losses), "loss")
            image = plots.loss_curve(losses[iteration], title=f"{one_line(model, 30)}, iteration {iteration}")
            widgets.figure(image, f"loss-{iteration}", f"training loss of iteration {iteration}")
    with right:
        st.caption("Training conversations by what selection made of them")
        widgets.table(store.rows("selected", model=model))


@st.cache_data(show_spinner=False, max_entries=64)
def _over_iterations(stamp: str, _store: Store, model: str, measures: tuple[str, ...]) -> bytes:  # noqa: ARG001
    return plots.over_iterations(
        _store.rows("metrics", model=model), measures, title=f"{one_line(model, 60)}, held-out conversations"
    )


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
