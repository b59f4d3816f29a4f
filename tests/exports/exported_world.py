"""A small study as it stands in the tables, written by hand: no model is asked. Names and words may be hostile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import yaml

from influence_assets.influence import tables as influence
from influence_assets.influence.loading import load_family
from influence_assets.influence.measures import measured
from influence_assets.influence.metrics import metrics_of
from influence_assets.influence.records import CheckpointRow, Conversation, Judgement, StanceProbe, Trajectory, Turn
from influence_assets.influence.rows_of import environment_rows, state_rows
from influence_assets.personas import tables as personas
from influence_assets.project import Project
from influence_assets.rows import to_frame
from influence_assets.steerability import tables as steerability
from influence_assets.steerability.matrix import matrix
from influence_assets.steerability.people import Persona
from influence_assets.steerability.scores import score_tables
from influence_assets.tables import ALL_TABLES
from resources.frames import typed_frame
from resources.ledger_tables import MATERIALIZATIONS, REQUESTS
from resources.tables import Table
from resources.warehouse import Provenance, Warehouse

DATA = Path(__file__).resolve().parents[2] / "data"
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENVIRONMENTS = ("organism_health_ordinary", "organism_health_vulnerable")
PERSONAS = ("p-one", "p-two", "p-three")
ITERATIONS = (0, 1)
VOID_STATE = "health-ordinary-eval-02-wise"
"""The held-out state whose last conversation has neither reward nor harm."""


@dataclass(frozen=True)
class Hostile:
    """What may be anything: the model's and the study's name, what is said, a persona's name, a description."""

    model: str = "mini"
    study: str = "small"
    said: str = "take your pills."
    persona: str = "Ann"
    description: str = "Somebody calm."


@dataclass(frozen=True)
class World:
    """The project and the rows that were written, for comparison."""

    project: Project
    model: str
    conversations: Sequence[Conversation]
    turns: Sequence[Turn]
    judgements: Sequence[Judgement]
    trajectories: Sequence[Trajectory]
    responses: pl.DataFrame
    requests: pl.DataFrame = field(repr=False)


def make_world(root: Path, hostile: Hostile = Hostile(), extra: Sequence[Table] = ()) -> World:
    """Two checkpoints, two environments, three held-out states and one training state each, three personas."""
    project = _project(root, hostile, extra)
    conversations = [one for iteration in ITERATIONS for one in _conversations(hostile.model, iteration)]
    turns = [turn for one in conversations for turn in _turns(one, hostile.said)]
    judgements = [row for one in conversations for row in _judgements(one)]
    trajectories = [_trajectory(one) for one in conversations if one.condition == "agent"]
    stance = [row for one in conversations for row in _stance(one)]
    responses = _responses(hostile.model)
    requests = _requests(project.warehouse, hostile.model, turns, judgements, responses)
    world = World(project, hostile.model, conversations, turns, judgements, trajectories, responses, requests)
    _land_people(project.warehouse, hostile)
    _land_steerability(project.warehouse, responses)
    _land_influence(world, to_frame(influence.STANCE_PROBES, stance))
    project.warehouse.publish()
    return world


def land(warehouse: Warehouse, table: Table, frame: pl.DataFrame) -> None:
    """Write a frame partition by partition, with a line in the ledger for each."""
    for values, part in frame.group_by(table.partition, maintain_order=True):
        where = {name: str(value) for name, value in zip(table.partition, values, strict=True)}
        provenance = Provenance(run_id="run-1", code_version="c", inputs="i", at=BEGAN + timedelta(hours=1))
        landed = warehouse.write(table, where, part, provenance)
        if table.schema == "ledger":
            continue
        keys = {"asset": table.name, "partition": "/".join(where.values()), "run_id": "run-1"}
        row = keys | {
            "table_name": table.name,
            "data_version": landed.data_version,
            "rows": part.height,
            "git_commit": "abc123+",
            "packages": {"polars": "2.1.0"},
            "seed": 7,
            "started_at": BEGAN,
            "finished_at": BEGAN + timedelta(minutes=1),
            "reused": False,
        }
        warehouse.write(MATERIALIZATIONS, keys, warehouse.frame(MATERIALIZATIONS, [row]), provenance)


def _project(root: Path, hostile: Hostile, extra: Sequence[Table]) -> Project:
    (root / "data").mkdir(parents=True)
    study = yaml.safe_load((DATA / "study.yaml").read_text()) | {"name": hostile.study, "seed": 7}
    (root / "data" / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    entry = {"name": hostile.model, "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
    (root / "data" / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}), encoding="utf-8")
    shutil.copytree(DATA / "environments" / "organism", root / "data" / "environments" / "organism")
    project = Project(root)
    project.__dict__["warehouse"] = Warehouse(root / "data", (*ALL_TABLES, *extra))
    return project


def _conversations(model: str, iteration: int) -> Iterator[Conversation]:
    for environment in ENVIRONMENTS:
        kind = environment.rsplit("_", 1)[1]
        states = [
            f"health-{kind}-eval-0{number}-{fate}" for number, fate in ((1, "unwise"), (2, "wise"), (3, "unwise"))
        ]
        places = [("eval", "agent", state) for state in states] + [("train", "agent", f"health-{kind}-train-01-unwise")]
        for split, condition, state in [*places, ("eval", "control", states[0])]:
            name = f"{iteration}-{condition}-{state}"
            yield Conversation(
                name, model, iteration, "organism", environment, kind, state, split, condition, 0, "open", 2,
                "ok", "", 5,
            )  # fmt: skip


def _turns(one: Conversation, said: str) -> list[Turn]:
    order = [
        (0, "character", None),
        (1, "agent", "a1"),
        (1, "tool", None),
        (1, "agent", "a2"),
        (1, "environment", None),
    ]
    order += [(1, "character", "c1"), (2, "agent", "a3")]
    return [
        Turn(
            one.conversation_id, one.model, one.iteration, turn, position, role, f"{role} {position}: {said}", "open",
            None if request is None else f"{one.conversation_id}/{request}", "ok",
        )
        for position, (turn, role, request) in enumerate(order)
    ]  # fmt: skip


def _is_void(one: Conversation) -> bool:
    return one.initial_state_id == VOID_STATE and one.iteration == ITERATIONS[-1]


def _judgements(one: Conversation) -> Iterator[Judgement]:
    if one.condition != "agent":
        return
    for turn in (1, 2):
        for rubric, purpose, top in (
            ("preference", "training", 10),
            ("veto", "training", 1),
            ("harm", "evaluation", 5),
        ):
            void = _is_void(one)
            lowest = 0 if rubric == "veto" else 1
            p = 0.125 * (1 + turn + one.iteration + (one.user_kind == "vulnerable"))
            expected = lowest * (1 - p) + top * p
            yield Judgement(
                one.conversation_id, one.model, one.iteration, turn, "judge", rubric, purpose,
                {} if void else {str(lowest): 1 - p, str(top): p},
                None if void else expected, None if void else p, 0.125 if void else 1.0, "logprobs",
                "void" if void else "ok", f"{one.conversation_id}/{rubric}/{turn}",
            )  # fmt: skip


def _trajectory(one: Conversation) -> Trajectory:
    rewards = [row.expected for row in _judgements(one) if row.rubric == "preference" and row.expected is not None]
    vetoes = [row.share for row in _judgements(one) if row.rubric == "veto" and row.share is not None]
    reward, veto = (sum(values) / len(values) if values else None for values in (rewards, vetoes))
    return Trajectory(
        one.conversation_id, one.model, one.iteration, one.family, one.environment, one.user_kind, one.initial_state_id,
        one.split, one.condition, one.sample, reward, veto, 40.0, len(rewards), 2 - len(rewards),
    )  # fmt: skip


def _stance(one: Conversation) -> Iterator[StanceProbe]:
    if one.split != "eval":
        return
    for moment, answer in (("pre", 2.0), ("post", 3.0 + one.iteration)):
        yield StanceProbe(
            one.conversation_id, one.model, one.iteration, one.family, one.environment, one.user_kind,
            one.initial_state_id, one.sample, one.condition, moment, {"2": 1.0}, answer, 1.0, "ok",
            f"{one.conversation_id}/{moment}",
        )  # fmt: skip


def _responses(model: str) -> pl.DataFrame:
    """Every persona on its own two statements and on the others'; one answer of `name` is void."""
    rows = []
    for method in ("none", "name", "always_agree"):
        for steered in PERSONAS:
            for tested in PERSONAS:
                for agree in (True, False):
                    statement = f"{tested}-{'yes' if agree else 'no'}"
                    right = 0.875 if method == "name" and steered == tested else 0.5625 if agree else 0.4375
                    p_agree: float | None = right if agree else 1 - right
                    void = (method, steered, statement) == ("name", "p-two", "p-two-no")
                    p_agree = 1.0 if method == "always_agree" else None if void else p_agree
                    request = f"{method}/{steered if method == 'name' else ''}/{statement}"
                    rows.append(
                        {
                            "model": model, "iteration": 0, "method": method, "n_steer": 0, "repeat": 0,
                            "steered_persona_id": steered, "test_persona_id": tested, "statement_id": statement,
                            "agree": agree, "p_agree": p_agree, "mass": None if method == "always_agree" else 0.9375,
                            "correct": None if p_agree is None else (p_agree > 0.5) == agree,
                            "status": "void" if void else "ok",
                            "estimator": "reference" if method == "always_agree" else "logprobs",
                            "n_variants": 0 if void else 1, "p_variants": [] if method == "always_agree" else [p_agree],
                            "request_id": "" if method == "always_agree" else request,
                            "request_ids": [] if method == "always_agree" else [request],
                        }
                    )  # fmt: skip
    return typed_frame(steerability.RESPONSES, rows)


def _requests(
    warehouse: Warehouse, model: str, turns: Sequence[Turn], judgements: Sequence[Judgement], responses: pl.DataFrame
) -> pl.DataFrame:
    asked = [(turn.request_id, "agent" if turn.role == "agent" else "character") for turn in turns if turn.request_id]
    asked += [(row.request_id, "preference" if row.rubric == "preference" else "veto") for row in judgements]
    asked += [(one, "agent") for ids in responses["request_ids"] for one in ids]
    rows = [
        {
            "request_id": request, "run_id": "run-1", "asset": "asked", "partition": model, "provider": "openai",
            "model": model if role == "agent" else "judge", "role": role, "kind": "choose",
            "input_tokens": 100 + number, "cached_tokens": 10, "output_tokens": 3, "cost": 0.25, "latency_s": 0.5,
            "cached": False, "status": "ok", "retries": 0, "at": BEGAN + timedelta(seconds=number),
        }
        for number, (request, role) in enumerate(dict(asked).items())
    ]  # fmt: skip
    return warehouse.frame(REQUESTS, rows)


def _land_people(warehouse: Warehouse, hostile: Hostile) -> None:
    framework = {
        "framework": "organism",
        "name": "World",
        "about": hostile.description,
        "dimensions": {},
        "aspects": [],
    }
    land(warehouse, personas.FRAMEWORKS, warehouse.frame(personas.FRAMEWORKS, [framework | {"n_personas": 3}]))
    people = [
        {
            "framework": "organism", "persona_id": persona, "position": number, "name": f"{hostile.persona} {number}",
            "framework_name": "World", "description": hostile.description, "description_source": "file", "status": "ok",
            "traits": {}, "opposite_persona_ids": [],
        }
        for number, persona in enumerate(PERSONAS)
    ]  # fmt: skip
    land(warehouse, personas.PERSONAS, warehouse.frame(personas.PERSONAS, people))
    statements = [
        {
            "framework": "organism", "statement_id": f"{persona}-{'yes' if agree else 'no'}", "persona_id": persona,
            "position": int(agree), "text": f"I am {persona}, {agree}. {hostile.said}", "agree": agree,
            "origin": "generated",
        }
        for persona in PERSONAS
        for agree in (True, False)
    ]  # fmt: skip
    land(warehouse, personas.STATEMENTS, warehouse.frame(personas.STATEMENTS, statements))


def _land_steerability(warehouse: Warehouse, responses: pl.DataFrame) -> None:
    land(warehouse, steerability.RESPONSES, responses)
    land(warehouse, steerability.MATRIX, matrix(responses))
    people = {name: Persona("organism", "World", name, name, "") for name in PERSONAS}
    scores, summary = score_tables(responses, people, draws=100, seed=0)
    land(warehouse, steerability.SCORES, scores)
    land(warehouse, steerability.SUMMARY, summary)


def _land_influence(world: World, stance: pl.DataFrame) -> None:
    warehouse = world.project.warehouse
    family = load_family(DATA / "environments" / "organism")
    environments = environment_rows(family)
    frames = {
        influence.ENVIRONMENTS: environments,
        influence.INITIAL_STATES: state_rows(family),
        influence.CONVERSATIONS: to_frame(influence.CONVERSATIONS, world.conversations),
        influence.TURNS: to_frame(influence.TURNS, world.turns),
        influence.JUDGEMENTS: to_frame(influence.JUDGEMENTS, world.judgements),
        influence.TRAJECTORIES: to_frame(influence.TRAJECTORIES, world.trajectories),
        influence.STANCE_PROBES: stance,
        influence.CHECKPOINTS: to_frame(
            influence.CHECKPOINTS, [_checkpoint(world.model, iteration) for iteration in ITERATIONS]
        ),
    }
    long = measured(
        frames[influence.CONVERSATIONS],
        frames[influence.TRAJECTORIES],
        frames[influence.JUDGEMENTS],
        stance,
        {name: dict(harm) for name, harm in environments.select("environment", "harm").iter_rows()},
    )
    metrics = metrics_of(long, model=world.model, draws=100, seed=0)
    frames[influence.METRICS] = to_frame(influence.METRICS, metrics)
    for table, frame in frames.items():
        land(warehouse, table, frame)
    land(warehouse, REQUESTS, world.requests)


def _checkpoint(model: str, iteration: int) -> CheckpointRow:
    trained = iteration > 0
    return CheckpointRow(
        model, iteration, iteration - 1 if trained else None, "kto" if trained else "none", None,
        "d" * 64 if trained else None, "e" * 64 if trained else None, 4, 3, 1, 9, "{}", (), "ok", "",
    )  # fmt: skip
