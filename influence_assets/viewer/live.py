"""Live: play a conversation turn by turn, any model or a person in any role, and watch what the judges say of it."""

from __future__ import annotations

from dataclasses import asdict

import polars as pl
import streamlit as st

from influence_assets.influence.records import Judgement, Turn
from influence_assets.live.keeping import keep
from influence_assets.live.session import PERSON, LiveConversation, View, Wanted
from influence_assets.live.stage import ROLES, Setting, families, iterations, set_stage
from influence_assets.project import Project
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import markdown
from influence_assets.viewer.transcript import facts, transcript
from resources.errors import InfluenceError
from resources.messages import Role

LOOK_EVERY_S = 1.0
_PLAYED = "live conversation"


def show(project: Project) -> None:
    """The page."""
    widgets.heading("Live", "Play a conversation: any model or a person in any role, rated as it goes.")
    live = st.session_state.get(_PLAYED)
    if live is None:
        _choose(project)
        _kept(Store(project.warehouse))
        return
    # What a person has typed and not yet said stays where it is when the scene is drawn anew.
    st.fragment(_scene, run_every=None if live.view().over else LOOK_EVERY_S)(project, live)


def _choose(project: Project) -> None:
    found = families(project)
    environments = {name: family for family in found.values() for name in family.environments}
    left, right = st.columns(2)
    with left:
        environment = widgets.choose("environment", list(environments), "environment")
    family = environments[environment]
    with right:
        state = widgets.choose("initial state", [one.id for one in family.states[environment]], "state")
    players: dict[Role, str] = {}
    for column, role in zip(st.columns(len(ROLES)), ROLES, strict=True):
        with column:
            able = [entry.name for entry in project.registry.models if role in entry.roles]
            usual = (project.study.roles.get(role) or able)[:1]
            offered = [PERSON, *able]
            first = offered.index(usual[0]) if usual and usual[0] in offered else 0
            players[role] = widgets.choose(role.value, offered, role.value, first=first)
    agent = players[Role.AGENT]
    iteration = (
        0 if agent == PERSON else widgets.choose("iteration of the agent", iterations(project, agent), "iteration")
    )
    if st.button("Begin", type="primary", icon=":material/play_arrow:"):
        live = set_stage(project, Setting(family.name, environment, state, players, iteration))
        live.begin()
        st.session_state[_PLAYED] = live
        st.rerun()


def _kept(store: Store) -> None:
    if store.has("live.conversations"):
        widgets.section("Kept so far", "In tables of their own, `live.*`: no study reads them.")
        widgets.table(store.rows("kept"))


def _scene(project: Project, live: LiveConversation) -> None:
    view = live.view()
    players = ", ".join(f"{role.value}: {player}" for role, player in live.players.items())
    start = live.plan.start
    st.html(facts([("environment", start.environment.name), ("state", start.state.id), ("players", players)]))
    st.html(transcript(_frame(Turn, view.turns), _judged(view)))
    if view.over:
        _ended(project, live, view)
        return
    for wanted in view.wanted:
        _person(live, wanted)
    with st.container(horizontal=True):
        if view.ready and st.button("Let the agent speak", type="primary", shortcut="Right"):
            live.go_on()
            st.rerun()
        if st.button("Stop here", icon=":material/stop:"):
            live.stop()
            st.rerun()
    if view.busy:
        st.caption("A model is at work.")


def _person(live: LiveConversation, wanted: Wanted) -> None:
    """Ask a person for words, or for one of the options."""
    with st.form(f"wanted-{wanted.number}"):
        if wanted.options:
            label = f"{wanted.role.value}: your answer"
            said = st.selectbox(label, wanted.options, key=f"option-{wanted.number}")
        else:
            said = st.text_area(f"{wanted.role.value}: your words", key=f"words-{wanted.number}", height=90)
        if st.form_submit_button("Say it"):
            try:
                live.answer(wanted.number, said or "")
            except InfluenceError as error:
                st.warning(markdown(error))
            else:
                st.rerun()


def _ended(project: Project, live: LiveConversation, view: View) -> None:
    if view.error:
        st.warning(markdown(view.error))
    elif view.held is not None:
        st.caption(f"It ended in the state {markdown(view.held.conversation.final_state)}.")
    note = st.text_input("why it is worth keeping", key="note")
    with st.container(horizontal=True):
        if st.button("Keep", type="primary", icon=":material/save:"):
            keep(project, live, note=note)
            _forget(f"Kept in live.conversations as {live.plan.conversation_id}.")
        if st.button("Discard", icon=":material/delete:"):
            _forget("Discarded: no row of it was written.")


def _forget(said: str) -> None:
    del st.session_state[_PLAYED]
    st.toast(said)
    st.rerun()


def _judged(view: View) -> pl.DataFrame:
    rows = _frame(Judgement, view.judgements)
    if rows.is_empty():
        return rows
    order = {"preference": 0, "veto": 1}
    shown = [[{"key": answer, "value": p} for answer, p in sorted(one.distribution.items())] for one in view.judgements]
    return rows.with_columns(pl.Series("distribution", shown, dtype=_DISTRIBUTION)).sort(
        "turn", pl.col("rubric").replace_strict(order, default=2)
    )


_DISTRIBUTION = pl.List(pl.Struct({"key": pl.String, "value": pl.Float64}))


def _frame(kind: type[Turn] | type[Judgement], rows: tuple[Turn, ...] | tuple[Judgement, ...]) -> pl.DataFrame:
    kept = [{name: value for name, value in asdict(row).items() if name != "distribution"} for row in rows]
    names = [name for name in kind.__dataclass_fields__ if name != "distribution"]
    return pl.DataFrame(kept, schema=names, infer_schema_length=None) if kept else pl.DataFrame(schema=names)
