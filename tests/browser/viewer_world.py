"""Published tables for tests of the viewer, made without any model: small, empty, hostile, or as large as asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from influence_assets.tables import ALL_TABLES, MACROS
from resources.tables import Table
from resources.warehouse import Provenance, Warehouse
from tests.viewer import features_rows

CHECKOUT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RATINGS = [str(n) for n in range(1, 11)]

Row = Mapping[str, object]


def project_folder(root: Path) -> Path:
    """A folder that the command takes for a project: the shipped study and models, nothing run."""
    (root / "data").mkdir(parents=True)
    for name in ("models.yaml", "study.yaml"):
        shutil.copyfile(CHECKOUT / "data" / name, root / "data" / name)
    return root


def warehouse(root: Path, tables: Sequence[Table] = ALL_TABLES) -> Warehouse:
    return Warehouse(root / "data", tables, MACROS)


def land(target: Warehouse, table: str, rows: Iterable[Row]) -> None:
    """Write rows, each into its partition."""
    partition = next(declared.partition for declared in target.tables if declared.name == table)

    def place(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in partition)

    for values, part in groupby(sorted(rows, key=place), key=place):
        frame = target.frame(table, list(part))
        target.write(table, dict(zip(partition, values, strict=True)), frame, Provenance("run-1", "code-1", "in", NOW))


def distribution(peak: int) -> dict[str, float]:
    weights = [1 / (1 + abs(int(rating) - peak)) ** 3 for rating in RATINGS]
    return {rating: weight / sum(weights) for rating, weight in zip(RATINGS, weights, strict=True)}


def conversation(
    number: int,
    *,
    model: str = "tiny",
    iteration: int = 0,
    environment: str = "advice",
    kind: str = "vulnerable",
    said: Sequence[tuple[str, str]] = (("character", "should i?"), ("agent", "yes, do it")),
    rating: int = 7,
    veto: float = 0.1,
    judge: str = "judge",
) -> dict[str, list[Row]]:
    """The rows of one conversation in every table that knows it. Its id is `c-<iteration>-<number>`."""
    name = f"c-{iteration}-{number}"
    place = {"family": "lab", "environment": environment, "user_kind": kind, "initial_state_id": f"state-{number}"}
    whose = {"conversation_id": name, "model": model, "iteration": iteration}
    held = whose | place | {"split": "eval", "condition": "agent", "sample": 0}
    turns: list[Row] = []
    turn = 0
    for position, (role, content) in enumerate(said):
        turn += role == "agent"
        turns.append(
            whose
            | {"turn": turn, "position": position, "role": role, "content": content, "state": "open", "status": "ok"}
        )
    judgements: list[Row] = []
    for t in range(1, turn + 1):
        common = whose | {"turn": t, "judge": judge, "estimator": "logprobs", "status": "ok", "mass": 0.99}
        judgements += [
            common
            | {
                "rubric": "preference",
                "purpose": "training",
                "distribution": distribution(rating),
                "expected": float(rating),
                "share": (rating - 1) / 9,
            },
            common
            | {
                "rubric": "veto",
                "purpose": "training",
                "distribution": {"0": 1 - veto, "1": veto},
                "expected": veto,
                "share": veto,
            },
        ]
    return {
        "influence.conversations": [held | {"final_state": "open", "n_turns": turn, "status": "ok", "seed": 1}],
        "influence.turns": turns,
        "influence.judgements": judgements,
        "influence.trajectories": [
            held | {"reward": float(rating), "veto": veto, "length": 10.0, "n_rated": turn, "n_void": 0}
        ],
        "influence.selections": [
            whose | {"group": "g", "reward": float(rating), "veto": veto, "chosen": "best", "rank": 1, "tied": False}
        ],
    }


def gathered(parts: Iterable[Mapping[str, list[Row]]]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for part in parts:
        for table, some in part.items():
            rows.setdefault(table, []).extend(some)
    return rows


def metrics(model: str = "tiny", iterations: int = 3) -> list[Row]:
    return [
        {
            "model": model,
            "iteration": iteration,
            "split": "eval",
            "user_kind": kind,
            "measure": measure,
            "selection": "all",
            "value": 0.2 + 0.1 * iteration,
            "ci_low": 0.1 + 0.1 * iteration,
            "ci_high": 0.3 + 0.1 * iteration,
            "n": 8,
            "delta": 0.1 * iteration,
            "delta_ci_low": 0.05 * iteration,
            "delta_ci_high": 0.2 * iteration,
            "p": 0.04,
        }
        for iteration in range(iterations)
        for measure, kinds in (
            ("reward", ("all", "vulnerable", "ordinary")),
            ("harm", ("all", "vulnerable", "ordinary")),
            ("targeting_gap", ("all",)),
        )
        for kind in kinds
    ]


def checkpoints(model: str = "tiny", iterations: int = 3) -> list[Row]:
    return [
        {
            "model": model,
            "iteration": iteration,
            "parent": iteration - 1 if iteration else None,
            "method": "expert_iteration" if iteration else "none",
            "n_rows": 4,
            "n_desirable": 4,
            "n_undesirable": 0,
            "seed": 0,
            "loss_curve": [1.5, 1.1, 0.9] if iteration else [],
            "status": "ok",
        }
        for iteration in range(iterations)
    ]


def steerability(
    names: Sequence[str], *, model: str = "tiny", statement: str = "i like quiet rooms."
) -> dict[str, list[Row]]:
    """A matrix whose diagonal stands out, with everything that the page shows beside it."""
    ids = [f"{n:08x}" for n in range(len(names))]
    run = {"model": model, "iteration": 0, "method": "name", "n_steer": 0}
    people = list(zip(ids, names, strict=True))
    scored = {"value": 0.9, "ci_low": 0.7, "ci_high": 0.98, "chance": 0.5, "n": len(ids)}
    return {
        "personas.personas": [
            {
                "framework": "lab",
                "persona_id": i,
                "position": n,
                "name": name,
                "framework_name": "Lab",
                "description": f"somebody called {name}.",
                "status": "ok",
            }
            for n, (i, name) in enumerate(people)
        ],
        "personas.statements": [
            {
                "framework": "lab",
                "statement_id": f"s-{i}",
                "persona_id": i,
                "position": 0,
                "text": statement,
                "agree": True,
            }
            for i in ids
        ],
        "steerability.responses": [
            run
            | {"repeat": 0, "steered_persona_id": i, "test_persona_id": i, "statement_id": f"s-{i}"}
            | {"agree": True, "p_agree": 0.93, "mass": 0.99, "correct": True, "status": "ok", "estimator": "logprobs"}
            for i in ids
        ],
        "steerability.matrix": [
            run
            | {"steered_persona_id": i, "test_persona_id": j, "n": 8, "n_void": 0}
            | {"accuracy": 0.95 if i == j else 0.4 + (a * 7 + b * 3) % 10 / 50, "margin": 0.5}
            for a, i in enumerate(ids)
            for b, j in enumerate(ids)
        ],
        "steerability.clusters": [
            run
            | {"scope": "all", "framework": "lab", "persona_id": i, "position": n, "cluster": 1, "n_clusters": 1}
            | {"ari": 0.4, "ari_low": 0.1, "ari_high": 0.6}
            for n, i in enumerate(reversed(ids))
        ],
        "steerability.summary": [
            run | {"framework": "", "score": score} | scored for score in ("sensitivity", "specificity", "gain")
        ],
        "steerability.scores": [
            run | {"persona_id": i, "score": score} | scored for i in ids for score in ("sensitivity", "gain")
        ],
    }


def ledger(*, error: str = "refusal") -> dict[str, list[Row]]:
    where = {"asset": "rollout_batches_0", "partition": "tiny", "run_id": "run-1"}
    return {
        "ledger.materializations": [
            where
            | {"table_name": "influence.turns", "data_version": "v", "rows": 4, "inputs": "in", "git_commit": "abc+"}
            | {"started_at": NOW, "finished_at": NOW, "reused": False, "seed": 0}
        ],
        "ledger.requests": [
            where
            | {"request_id": f"r{n}", "provider": "openai", "model": "tiny", "role": "agent", "kind": "generate"}
            | {"input_tokens": 100, "cached_tokens": 0, "output_tokens": 20, "cost": 0.25, "latency_s": 0.5}
            | {"cached": n == 0, "status": error if n == 1 else "ok", "retries": 0, "at": NOW}
            for n in range(4)
        ],
    }


def write(root: Path, rows: Mapping[str, Sequence[Row]]) -> Path:
    """Land these rows in a new project folder and publish them."""
    target = warehouse(project_folder(root))
    for table, some in rows.items():
        land(target, table, some)
    target.publish()
    return root


def small(root: Path) -> Path:
    """Two iterations of three conversations, measures, a matrix of four personas, a ledger."""
    conversations = gathered(
        conversation(n, iteration=iteration, rating=5 + n, veto=0.9 if n == 2 else 0.1, environment=environment)
        for iteration in (0, 1)
        for n, environment in enumerate(("advice", "advice", "booking"))
    )
    return write(
        root,
        gathered(
            [
                conversations,
                steerability(["Arden", "Briar", "Corin", "Dara"]),
                ledger(),
                {"influence.metrics": metrics(), "influence.checkpoints": checkpoints()},
            ]
        ),
    )


def hostile_texts() -> dict[str, str]:
    """What a model might write to act on a page, by name. Each `pwned` would be seen if it ran."""
    return json.loads((Path(__file__).with_name("hostile_texts.json")).read_text(encoding="utf-8"))


EVERYTHING = f"c-0-{len(hostile_texts())}"


def hostile(root: Path) -> Path:
    """Every text of the corpus as turn, environment, model, judge, persona, statement and status, some of them as
    trait, SAE, text of a latent, subject and unit. One conversation, `EVERYTHING`, says all of them, a turn each."""
    texts = list(hostile_texts().values())
    models = [text[:60] for text in texts]
    parts = [
        conversation(
            n,
            model=models[n],
            environment=text,
            kind=text,
            judge=text,
            said=(("character", text), ("agent", text), (text[:40], text)),
        )
        for n, text in enumerate(texts)
    ]
    said = [(("character", "agent")[n % 2], text) for n, text in enumerate(texts)]
    everything = [*parts, conversation(len(texts), model=models[0], said=said), ledger(error=texts[0])]
    everything.append(steerability(texts, model=models[0], statement=texts[0]))
    everything.append({"influence.metrics": metrics(models[0]), "influence.checkpoints": checkpoints(models[0])})
    everything.append(features_rows.inside(texts[:6], model=models[0], sae=texts[6], status=texts[7], text=texts[8]))
    everything.append(features_rows.joint(texts[:6], model=models[0], unit=texts[8]))
    return write(root, gathered(everything))
