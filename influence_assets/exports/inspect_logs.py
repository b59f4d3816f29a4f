"""`influence export inspect`: stored conversations and answers as logs that `inspect view` opens.

One log per model, iteration and family of environments; and one per model, iteration and steering method. Logs are made
of rows alone: no model is asked, and the same rows give the same logs under the same names. `inspect-ai` is an optional
package; it writes the files itself.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import BaseModel, ConfigDict

from influence_assets.exports.stored import stored_conversations
from influence_assets.influence import tables as influence
from influence_assets.influence.records import CheckpointRow
from influence_assets.personas import tables as personas
from influence_assets.rows import from_frame
from influence_assets.steerability import tables as steerability
from resources.durable import move, scratch, sync
from resources.errors import InputError
from resources.tables import Table
from resources.warehouse import Warehouse
from resources.yamlfiles import load_yaml

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

    from influence_assets.exports.log_of_responses import StoredResponse
    from influence_assets.exports.log_parts import Origin

_SQL = Path(__file__).with_name("sql")
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class _Texts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    conversations: str
    answers: str


def _texts() -> _Texts:
    return load_yaml(Path(__file__).with_name("log_texts.yaml"), _Texts)


class Answers(StrEnum):
    """Which answers to statements are exported: those of the steered persona's own statements, all, or none."""

    OWN = "own"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True)
class Wanted:
    """What to export: these models (all when empty), this iteration (all when None), these answers."""

    models: Sequence[str] = ()
    iteration: int | None = None
    answers: Answers = Answers.OWN

    def fits(self, partition: Mapping[str, str]) -> bool:
        """Whether a partition by model and iteration is wanted."""
        right_model = not self.models or partition["model"] in self.models
        return right_model and self.iteration in (None, int(partition["iteration"]))


def export_inspect(warehouse: Warehouse, study: str, folder: Path, wanted: Wanted) -> Iterator[Path]:
    """Write the logs into a folder, which is made, and yield each file as it is there; a log of that name is replaced.

    Raises `InputError` when inspect-ai is not installed, the folder is no folder, or nothing fits.
    """
    if importlib.util.find_spec("inspect_ai") is None:
        raise InputError(
            "needs the package inspect-ai", field="export inspect", fix="pip install 'influence-assets[inspect]'"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError("is no folder", field="OUT_DIR", value=str(folder), fix="name a new folder or an old one")
    checkpoints = _checkpoints(warehouse, influence.CONVERSATIONS, wanted)
    answered = [] if wanted.answers is Answers.NONE else _checkpoints(warehouse, steerability.RESPONSES, wanted)
    if not checkpoints and not answered:
        raise InputError(
            "there are no conversations and no answers of these", field="--model, --iteration", fix="run them first"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for model, iteration in checkpoints:
        for log in _conversation_logs(warehouse, study, model, iteration):
            yield _write(log, folder)
    for model, iteration in answered:
        for log in _response_logs(warehouse, study, model, iteration, wanted.answers):
            yield _write(log, folder)


def _checkpoints(warehouse: Warehouse, table: Table, wanted: Wanted) -> list[tuple[str, int]]:
    landed = [where for where in warehouse.partitions(table) if wanted.fits(where)]
    filled = [where for where in landed if (pointer := warehouse.pointer(table, where)) and pointer.rows]
    return [(where["model"], int(where["iteration"])) for where in filled]


def _conversation_logs(warehouse: Warehouse, study: str, model: str, iteration: int) -> Iterator[EvalLog]:
    from influence_assets.exports import log_of_conversations as conversations
    from influence_assets.exports.log_parts import assemble

    where = {"model": model, "iteration": str(iteration)}
    known = from_frame(CheckpointRow, warehouse.read(influence.CHECKPOINTS, where))
    checkpoint = known[0] if known else _unknown(model, iteration)
    about = _texts().conversations
    for family, stored in stored_conversations(warehouse, model, iteration).items():
        samples = conversations.conversation_samples(stored)
        keys: dict[str, str | int] = {"model": model, "iteration": iteration, "family": family}
        origin = _origin(warehouse, study, influence.CONVERSATIONS, where, "usage_of_conversations", keys)
        task = conversations.conversation_task(family, checkpoint, about)
        yield assemble(task, origin, samples, conversations.conversation_scores(samples))


def _response_logs(warehouse: Warehouse, study: str, model: str, iteration: int, answers: Answers) -> Iterator[EvalLog]:
    from influence_assets.exports import log_of_responses as responses
    from influence_assets.exports.log_parts import assemble

    where = {"model": model, "iteration": str(iteration)}
    summary = warehouse.read(steerability.SUMMARY, where).filter(pl.col("framework") == "")
    about = _texts().answers
    at: dict[str, str | int] = {"model": model, "iteration": iteration}
    for (method, n_steer), rows in _stored_responses(warehouse, where, answers):
        keys: dict[str, str | int] = {**at, "method": method, "n_steer": n_steer}
        origin = _origin(warehouse, study, steerability.RESPONSES, where, "usage_of_responses", keys)
        task = responses.response_task(model, iteration, method, n_steer, about)
        of_method = summary.filter((pl.col("method") == method) & (pl.col("n_steer") == n_steer))
        samples = responses.response_samples(rows, task.model)
        yield assemble(task, origin, samples, responses.response_scores(rows, of_method))


def _unknown(model: str, iteration: int) -> CheckpointRow:
    """Stands in where conversations landed and their checkpoint's row did not."""
    return CheckpointRow(model, iteration, None, "unknown", None, None, None, 0, 0, 0, 0, "{}", (), "unknown", "")


def _stored_responses(
    warehouse: Warehouse, where: Mapping[str, str], answers: Answers
) -> Iterator[tuple[tuple[str, int], list[StoredResponse]]]:
    """By method and n_steer; reference points, which ask no model, are left out."""
    from influence_assets.exports.log_of_responses import StoredResponse

    rows = warehouse.read(steerability.RESPONSES, where).filter(pl.col("estimator") != "reference")
    if answers is Answers.OWN:
        rows = rows.filter(pl.col("steered_persona_id") == pl.col("test_persona_id"))
    names = (
        warehouse.read(personas.PERSONAS)
        .select("persona_id", "name")
        .unique("persona_id", keep="first", maintain_order=True)
    )
    texts = (
        warehouse.read(personas.STATEMENTS)
        .select("statement_id", "text")
        .unique("statement_id", keep="first", maintain_order=True)
    )
    steered = names.rename({"persona_id": "steered_persona_id", "name": "steered_persona"})
    tested = names.rename({"persona_id": "test_persona_id", "name": "test_persona"})
    named = (
        rows.join(texts, on="statement_id", how="left")
        .join(steered, on="steered_persona_id", how="left")
        .join(tested, on="test_persona_id", how="left")
        .with_columns(
            # A statement that has been written anew since is known by its id alone.
            text=pl.coalesce("text", "statement_id"),
            steered_persona=pl.coalesce("steered_persona", "steered_persona_id"),
            test_persona=pl.coalesce("test_persona", "test_persona_id"),
        )
        .sort("method", "n_steer", "repeat", "steered_persona_id", "test_persona_id", "statement_id")
    )
    for (method, n_steer), part in named.group_by("method", "n_steer", maintain_order=True):
        yield (str(method), int(str(n_steer))), from_frame(StoredResponse, part)


def _origin(
    warehouse: Warehouse, study: str, table: Table, where: Mapping[str, str], usage: str, keys: Mapping[str, str | int]
) -> Origin:
    from influence_assets.exports.log_parts import Origin, Paid

    pointer = warehouse.pointer(table, where)
    paid = from_frame(Paid, warehouse.query((_SQL / f"{usage}.sql").read_text(), keys))
    named = {"table_name": table.name, "data_version": pointer.data_version if pointer else ""}
    made = warehouse.query((_SQL / "materialized_by.sql").read_text(), named).rows(named=True)
    # The same rows have the same time, however often they were landed again.
    created = made[0]["started_at"].replace(tzinfo=UTC) if made else pointer.at if pointer else _NO_TIME
    return Origin(
        study=study,
        seed=int(made[0]["seed"]) if made else 0,
        run_id=pointer.run_id if pointer else "",
        commit=str(made[0]["git_commit"] or "") if made else "",
        packages=dict(made[0]["packages"]) if made else {},
        created=created,
        paid=paid,
    )


def _write(log: EvalLog, folder: Path) -> Path:
    from inspect_ai.log import write_eval_log

    path = folder / file_name(log.eval.created, log.eval.task, log.eval.model, log.eval.task_id)
    beside = scratch(folder, ".eval")
    try:
        write_eval_log(log, beside, format="eval")
        sync(beside)
        move(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def file_name(created: str, task: str, model: str, task_id: str) -> str:
    """`<time>_<task>-<model>_<id>.eval`, as Inspect names its logs; of the names letters and digits alone."""
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{task}-{model}").strip("-.")[:100]
    return f"{re.sub(r'[^0-9T+-]', '-', created)}_{words or 'log'}_{task_id}.eval"
