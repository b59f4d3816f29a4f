"""Keeping a conversation that was played by hand: its rows land in `live.*`, marked, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from influence_assets.influence.records import Judgement, Turn
from influence_assets.live import tables
from influence_assets.live.session import LiveConversation
from influence_assets.live.stage import ASSET
from influence_assets.project import Project
from influence_assets.versions import code_version
from resources.content import sha256_of
from resources.errors import InfluenceError
from resources.ledger_tables import REQUESTS
from resources.warehouse import Provenance


def keep(project: Project, live: LiveConversation, *, note: str = "") -> str:
    """Land an ended conversation with what models were asked for it, and publish; returns its id.

    Raises `InfluenceError` while it still goes on. Keeping it again changes nothing but the note and the time.
    """
    view = live.view()
    if not view.over:
        raise InfluenceError("the conversation still goes on; stop it first")
    whose = {"conversation_id": live.plan.conversation_id}
    marked = whose | {"mark": tables.MARK}
    provenance = Provenance(
        run_id=live.plan.conversation_id,
        code_version=code_version(["influence", "live"]),
        inputs=sha256_of(live.plan.conversation_id),
        at=datetime.now(UTC),
    )
    rows: dict[str, Sequence[dict[str, object]]] = {
        tables.CONVERSATIONS.name: [marked | _conversation(live, note)],
        tables.TURNS.name: [marked | _turn(row) for row in view.turns],
        tables.JUDGEMENTS.name: [marked | _judgement(row) for row in view.judgements],
    }
    for name, some in rows.items():
        project.warehouse.write(name, whose, project.warehouse.frame(name, some), provenance)
    requests = _requests(project, live.plan.conversation_id)
    if requests.height:
        where = {"asset": ASSET, "partition": live.plan.conversation_id, "run_id": live.plan.conversation_id}
        project.warehouse.write(REQUESTS, where, requests, provenance)
    project.warehouse.publish()
    return live.plan.conversation_id


def _conversation(live: LiveConversation, note: str) -> dict[str, object]:
    start, held = live.plan.start, live.view().held
    spoken = {turn.turn for turn in live.view().turns if turn.turn and turn.role == "agent" and turn.status == "ok"}
    return {
        "family": start.family,
        "environment": start.environment.name,
        "user_kind": start.environment.user_kind.value,
        "initial_state_id": start.state.id,
        "players": {role.value: player for role, player in live.players.items()},
        "iteration": live.plan.iteration,
        "final_state": held.conversation.final_state if held else _last_state(live),
        "n_turns": held.conversation.n_turns if held else len(spoken),
        "status": held.conversation.status if held else "stopped",
        "note": note,
        "kept_at": datetime.now(UTC),
    }


def _last_state(live: LiveConversation) -> str:
    turns = live.view().turns
    return turns[-1].state if turns else live.plan.environment.initial


def _turn(row: Turn) -> dict[str, object]:
    return {
        "turn": row.turn,
        "position": row.position,
        "role": row.role,
        "content": row.content,
        "state": row.state,
        "request_id": row.request_id or None,
        "status": row.status,
    }


def _judgement(row: Judgement) -> dict[str, object]:
    return {
        "turn": row.turn,
        "judge": row.judge,
        "rubric": row.rubric,
        "distribution": row.distribution,
        "expected": row.expected,
        "share": row.share,
        "mass": row.mass,
        "estimator": row.estimator,
        "status": row.status,
        "request_id": row.request_id or None,
    }


def _requests(project: Project, conversation_id: str) -> pl.DataFrame:
    from resources.ledger import rows_for

    return rows_for(project.replies, run_id=conversation_id, asset=ASSET, partition=conversation_id)
