"""Asking a steered model about every statement of the design, and the rows that come of it.

Many rows share one question: `none` is the same for all personas, an example-free prompt for all repeats. So answers
are numbered by (prefix, statement), each is asked once in all variants of the question, in the order of the prefixes (a
local model then computes each prefix once), and rows point to answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.steerability.answers import Answer, answer_frame
from influence_assets.steerability.cells import Cells
from influence_assets.steerability.internal import Directions
from influence_assets.steerability.method import Case, Method, Prefix, Reference, Steering, SteeringMethod, Tests
from influence_assets.steerability.people import People
from influence_assets.steerability.splits import Splits
from influence_assets.steerability.tables import SCHEMA_ORDER
from resources.asking import Models, Progress
from resources.errors import InputError
from resources.messages import Message, Request, Role, Status
from resources.prompts import PromptFile, load_prompt

Numbers = NDArray[np.int64]

CHUNK = 16_384
"""Requests per call of `choose_many`: enough to share prefixes and fill batches, few enough to bound memory."""


@dataclass(frozen=True)
class Prompts:
    """The two prompt files of the measurement. The first option of the question is agreement."""

    question: PromptFile
    methods: PromptFile

    @classmethod
    def load(cls, directory: Path) -> Prompts:
        """`question.yaml` and `methods.yaml` of `data/prompts/steerability`."""
        question = load_prompt(directory / "question.yaml")
        if len(question.options) != 2:
            raise InputError(
                "the question needs two options, agreement first",
                place=directory / "question.yaml",
                field="options",
                value=question.options,
                fix='write options: ["yes", "no"]',
            )
        return cls(question, load_prompt(directory / "methods.yaml"))


@dataclass(frozen=True)
class Measurement:
    """Everything that decides what is asked, apart from the model."""

    people: People
    splits: Splits
    cells: Cells
    methods: Sequence[Method]
    prompts: Prompts
    seed: int
    min_mass: float = 0.5
    directions: Directions | None = None


@dataclass
class _Plan:
    """What is to be asked: prefixes by number, and per run the answer number of each row."""

    prefixes: dict[Prefix, int] = field(default_factory=dict)
    runs: list[tuple[str, int, Numbers]] = field(default_factory=list)
    references: list[tuple[str, int, NDArray[np.float64]]] = field(default_factory=list)


async def respond(
    measurement: Measurement,
    models: Models,
    *,
    model: str,
    iteration: int = 0,
    adapter: str | None = None,
    on_progress: Progress | None = None,
) -> pl.DataFrame:
    """Rows of `steerability.responses`, one per method, n_steer, repeat, steered persona and statement.

    P(agree) is the mean over the question's variants that were answered; an answer with less than `min_mass` on the
    options is void; with no variant answered the row has a status and no number. `on_progress` counts requests.
    """
    steering = Steering(models, model, measurement.prompts.methods, adapter, measurement.directions)
    plan = _Plan()
    for method in measurement.methods:
        for n in measurement.splits.n_steer if method.uses_statements else (0,):
            await _plan_run(plan, method, n, measurement, steering)
    prefixes = list(plan.prefixes)
    numbers = [run for _, _, run in plan.runs]
    asked = np.unique(np.concatenate(numbers)) if numbers else np.empty(0, dtype=np.int64)
    answers = await _ask(measurement, steering, prefixes, asked, on_progress)
    frames = [
        _rows(measurement.people, measurement.cells, name, n).hstack(answers[np.searchsorted(asked, run)])
        for name, n, run in plan.runs
    ]
    frames += [
        _rows(measurement.people, measurement.cells, name, n).hstack(_reference_answers(p_R))
        for name, n, p_R in plan.references
    ]
    return _finish(pl.concat(frames), model, iteration)


def count_requests(measurement: Measurement) -> int:
    """How many questions the measurement asks at most, before any is answered from the cache.

    Counts each (prefix, statement) once per variant, and one text per inferred description; equal prefixes of different
    personas, which cannot be known before, are counted apart.
    """
    people, cells, splits = measurement.people, measurement.cells, measurement.splits
    size = len(people.statement_ids)
    once = len(np.unique(cells.statement_R))
    per_persona = len(np.unique(cells.steered_R * size + cells.statement_R))
    per_case = len(cells)
    total = 0
    for method in measurement.methods:
        if isinstance(method, Reference):
            continue
        if method.name == "none":
            total += once
        elif method.uses_statements:
            total += per_case * len(splits.n_steer)
        else:
            total += per_persona
    return total * len(measurement.prompts.question.variants)


async def _plan_run(plan: _Plan, method: Method, n: int, measurement: Measurement, steering: Steering) -> None:
    people, cells = measurement.people, measurement.cells
    cases, case_R = _cases(measurement, n)
    size = len(people.statement_ids)
    if isinstance(method, SteeringMethod):
        prefixes = await method.prefixes(cases, steering)
        number_C = np.array([plan.prefixes.setdefault(prefix, len(plan.prefixes)) for prefix in prefixes])
        plan.runs.append((method.name, n, number_C[case_R] * size + cells.statement_R))
    else:
        p_C_S = method.p_agree(cases, Tests(people.texts, measurement.seed))
        plan.references.append((method.name, n, p_C_S[case_R, cells.statement_R]))


def _cases(measurement: Measurement, n: int) -> tuple[list[Case], Numbers]:
    """Every (repeat, persona) of the design, and for each row which of them it is."""
    people, cells = measurement.people, measurement.cells
    keys, case_R = np.unique(cells.repeat_R * len(people.personas) + cells.steered_R, return_inverse=True)
    cases = []
    for key in keys.tolist():
        repeat, persona = divmod(key, len(people.personas))
        draw = measurement.splits.draws[repeat][persona]
        assert draw is not None, "the design holds only personas that take part"
        agree, disagree = draw.steer(n)
        texts = [tuple(people.texts[s] for s in part.tolist()) for part in (agree, disagree)]
        cases.append(Case(people.personas[persona], texts[0], texts[1], n, repeat))
    return cases, case_R


async def _ask(
    measurement: Measurement,
    steering: Steering,
    prefixes: Sequence[Prefix],
    asked: Numbers,
    on_progress: Progress | None,
) -> pl.DataFrame:
    """One row per number in `asked` (prefix times statements, plus statement), in that order."""
    question = measurement.prompts.question
    variants = tuple(question.variants)
    size = len(measurement.people.statement_ids)
    suffixes: dict[int, list[tuple[Message, ...]]] = {}
    for statement in np.unique(asked % size).tolist() if asked.size else []:
        text = measurement.people.texts[statement]
        suffixes[statement] = [question.render(variant, statement=text) for variant in variants]
    prefix_A, statement_A = np.divmod(asked, size)
    statuses = list(Status)
    status_A = np.array([statuses.index(prefix.status) for prefix in prefixes], dtype=np.int64)[prefix_A]
    ok_A = status_A == statuses.index(Status.OK)
    total, done = int(ok_A.sum()) * len(variants), 0
    frames: list[pl.DataFrame] = []
    step = max(1, CHUNK // len(variants))
    open_pairs = list(zip(prefix_A[ok_A].tolist(), statement_A[ok_A].tolist(), strict=True))
    for start in range(0, len(open_pairs), step):
        requests = [
            Request(
                steering.model,
                prefixes[prefix].messages + suffix,
                Role.AGENT,
                adapter=steering.adapter,
                steering=prefixes[prefix].steering,
            )
            for prefix, statement in open_pairs[start : start + step]
            for suffix in suffixes[statement]
        ]
        replies = await steering.models.choose_many(requests, question.options, _shifted(on_progress, done, total))
        done += len(requests)
        grouped = [replies[i : i + len(variants)] for i in range(0, len(replies), len(variants))]
        frames.append(answer_frame([Answer.of(group, measurement.min_mass) for group in grouped]))
    # After the answers stands one row per status, for prefixes that could not be made.
    frames.append(answer_frame([Answer.failed(status) for status in statuses]))
    return pl.concat(frames)[np.where(ok_A, np.cumsum(ok_A) - 1, len(open_pairs) + status_A)]


def _shifted(on_progress: Progress | None, before: int, total: int) -> Callable[[int, int], None] | None:
    """Progress of one chunk as progress of the whole."""
    if on_progress is None:
        return None
    return lambda done, _: on_progress(before + done, total)


def _rows(people: People, cells: Cells, method: str, n: int) -> pl.DataFrame:
    ids = pl.Series([persona.persona_id for persona in people.personas], dtype=pl.String)
    statement_ids = pl.Series(people.statement_ids, dtype=pl.String)
    return pl.DataFrame(
        {
            "repeat": cells.repeat_R.astype(np.int32),
            "steered_persona_id": ids.gather(cells.steered_R),
            "test_persona_id": ids.gather(people.persona_S[cells.statement_R]),
            "statement_id": statement_ids.gather(cells.statement_R),
            "agree": people.agree_S[cells.statement_R],
        }
    ).with_columns(pl.lit(method).alias("method"), pl.lit(n, dtype=pl.Int32).alias("n_steer"))


def _reference_answers(p_R: NDArray[np.float64]) -> pl.DataFrame:
    one = answer_frame([Answer.reference()])
    return one[np.zeros(len(p_R), dtype=np.int64)].with_columns(pl.Series("p_agree", p_R))


def _finish(rows: pl.DataFrame, model: str, iteration: int) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(model).alias("model"),
        pl.lit(iteration, dtype=pl.Int32).alias("iteration"),
        ((pl.col("p_agree") > 0.5) == pl.col("agree")).alias("correct"),
    ).select(SCHEMA_ORDER["steerability.responses"])
