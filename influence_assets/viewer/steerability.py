"""Steerability: who is answered for, by whom: the matrix, its scores, and one persona down to single statements."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl
import streamlit as st

from influence_assets.steerability import plots
from influence_assets.viewer import widgets
from influence_assets.viewer.markup import element
from influence_assets.viewer.store import Store, Value
from influence_assets.viewer.text import one_line

SCORES = ("sensitivity", "specificity", "gain")


class Run(NamedTuple):
    """One steering method on one checkpoint."""

    model: str
    iteration: int
    method: str
    n_steer: int

    @property
    def where(self) -> dict[str, Value]:
        return dict(self._asdict())


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Steerability", "Steered to one persona, asked about the statements of every persona.")
    if not store.has("steerability.matrix"):
        widgets.empty(
            "No steerability matrix yet.",
            ".venv/bin/influence run 'key:\"steerability/*\"' --model organism    # or: make demo",
        )
        return
    run, scope = _choices(store)
    leaves = store.rows("leaves", **run.where).filter(pl.col("scope") == scope)
    matrix, scores = st.columns([4, 6], gap="large")
    with matrix:
        widgets.section("Matrix", _how_clustered(leaves))
        image = _heat_map(store.stamp(), store, run, scope)
        widgets.figure(image, "steerability-matrix", f"accuracy of {run.method}, steered persona by test persona")
    with scores:
        widgets.section(
            "Scores of every method", "Over all personas, best on top. Which persona was hit, and by how much."
        )
        image = _scores(store.stamp(), store, run.model, run.iteration)
        widgets.figure(image, "steerability-scores", f"{', '.join(SCORES)} by method with 95 % intervals and chance")
        with st.expander("All scores as a table"):
            widgets.table(store.rows("summary", model=run.model, iteration=run.iteration))
    _persona(store, run)


def _choices(store: Store) -> tuple[Run, str]:
    measured = store.rows("steered")
    columns = st.columns(4)
    with columns[0]:
        model = widgets.choose("model", measured["model"].unique().sort().to_list(), "model")
    measured = measured.filter(pl.col("model") == model)
    with columns[1]:
        iteration = widgets.choose("iteration", measured["iteration"].unique().sort().to_list(), "iteration")
    measured = measured.filter(pl.col("iteration") == iteration)
    names = {_named(method, n): (method, n) for method, n in measured.select("method", "n_steer").iter_rows()}
    best = _best(store.rows("summary", model=model, iteration=iteration))
    with columns[2]:
        listed = list(names)
        chosen = widgets.choose("method", listed, "method", first=listed.index(best) if best in names else 0)
    run = Run(model, iteration, *names[chosen])
    scopes = store.rows("leaves", **run.where)["scope"].unique().sort().to_list()
    with columns[3]:
        scope = widgets.choose("personas of", scopes or ["all"], "scope")
    return run, scope


def _best(summary: pl.DataFrame) -> str:
    """The method with the highest gain: what to show first."""
    gains = summary.filter((pl.col("score") == "gain") & (pl.col("framework") == "")).sort("value", nulls_last=True)
    gains = gains.drop_nulls("value")
    return _named(gains["method"][-1], gains["n_steer"][-1]) if gains.height else ""


def _named(method: str, n_steer: int) -> str:
    return f"{method}, {n_steer} statements" if n_steer else method


def _how_clustered(leaves: pl.DataFrame) -> str:
    about = (
        "Personas in the order of the dendrogram: alike profiles stand together. Framed: a persona's own statements."
    )
    if leaves.is_empty() or leaves["ari"][0] is None:
        return about
    ari, low, high = leaves.select("ari", "ari_low", "ari_high").row(0)
    ends = "" if low is None or high is None else f", 95 % interval {low:.2f} to {high:.2f}"
    return f"{about} Clusters against frameworks: adjusted Rand index {ari:.2f}{ends}; chance 0."


def _persona(store: Store, run: Run) -> None:
    people = store.rows("people")
    cells = store.rows("matrix", **run.where)
    measured = people.filter(pl.col("persona_id").is_in(cells["steered_persona_id"].unique().implode()))
    ids = measured["persona_id"].to_list() or cells["steered_persona_id"].unique().sort().to_list()
    names = dict(people.select("persona_id", "name").iter_rows())
    widgets.section("One persona")
    with st.container(horizontal=True):
        persona = _pick("persona", ids, names, "persona")
        tested = _pick("asked about the statements of", ids, names, "tested", first=ids.index(persona))
    for description in people.filter(pl.col("persona_id") == persona)["description"].drop_nulls().to_list():
        st.html(element("div", description, css="persona", direction="auto"))
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.caption("Its scores under every method, with 95 % intervals (bootstrap over statements and other personas)")
        widgets.table(
            store.rows("persona_scores", model=run.model, iteration=run.iteration, persona=persona), height=330
        )
    with right:
        answers = store.rows("cell", **run.where, steered=persona, tested=tested)
        right_ones = answers["correct"].mean()
        st.caption(f"{answers.height} answers, wrong ones first" + _accuracy(right_ones))
        widgets.table(
            answers.select("text", "agree", "p_agree", "correct", "mass", "status"),
            height=330,
            columns={"text": "statement", "agree": "persona agrees", "p_agree": "P(agree)"},
        )


def _pick(label: str, ids: list[str], names: dict[str, str], key: str, *, first: int = 0) -> str:
    """One persona, in the address by its name, or by name and id where several have that name."""
    shown = [one_line(names.get(persona_id) or persona_id) for persona_id in ids]
    labels = {i: f"{name} · {i}" if shown.count(name) > 1 else name for i, name in zip(ids, shown, strict=True)}
    return st.selectbox(label, ids, index=first, format_func=lambda i: labels[i], key=key, bind="query-params")


def _accuracy(share: object) -> str:
    return f"; {share:.0%} right" if isinstance(share, float) else ""


@st.cache_data(show_spinner=False, max_entries=32)
def _heat_map(stamp: str, _store: Store, run: Run, scope: str) -> bytes:  # noqa: ARG001
    cells = _store.rows("matrix", **run.where)
    leaves = _store.rows("leaves", **run.where).filter(pl.col("scope") == scope)
    order = leaves["persona_id"].to_list() or cells["steered_persona_id"].unique().sort().to_list()
    labels = [one_line(name, 18) for name in leaves["name"]]
    title = f"{one_line(run.model, 40)}, iteration {run.iteration}: {run.method}"
    return plots.heat_map(cells, method=run.method, n_steer=run.n_steer, title=title, order=order, labels=labels)


@st.cache_data(show_spinner=False, max_entries=32)
def _scores(stamp: str, _store: Store, model: str, iteration: int) -> bytes:  # noqa: ARG001
    summary = _store.rows("summary", model=model, iteration=iteration)
    return plots.score_plot(summary, score=SCORES, title=f"{one_line(model, 60)}, iteration {iteration}")
