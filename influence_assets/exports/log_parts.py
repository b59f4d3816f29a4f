"""Parts that every exported log has. Imports inspect_ai: import this module inside functions.

A log is made of stored rows alone, so the same rows give the same log: ids are hashes, times are those of the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalRevision,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
)
from inspect_ai.model import ModelUsage
from inspect_ai.scorer import Score

from resources.content import Json, sha256_of

ID_LENGTH = 22
"""Inspect's own ids have so many characters."""


@dataclass(frozen=True)
class Paid:
    """What one model was paid for in one role; a row of `sql/usage_of_*.sql`. Times are UTC without a zone."""

    model: str
    role: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Origin:
    """Where the rows of a log came from. `created` has a zone; `commit` ends with + when the checkout had edits."""

    study: str
    seed: int
    run_id: str
    commit: str
    packages: Mapping[str, str]
    created: datetime
    paid: Sequence[Paid]


@dataclass(frozen=True)
class Task:
    """What a log is called: `name` and `model` in the list of logs, `settings` in its details."""

    name: str
    about: str
    solver: str
    model: str
    settings: Mapping[str, Json]


def assemble(task: Task, origin: Origin, samples: Sequence[EvalSample], scores: Sequence[EvalScore]) -> EvalLog:
    """The whole log: header, statistics, results and samples."""
    identity: list[Json] = [origin.study, task.name, task.model, dict(task.settings)]
    spec = EvalSpec(
        eval_id=short_hash("eval", identity),
        run_id=origin.run_id,
        task_id=short_hash("task", identity),
        created=origin.created.isoformat(),
        task=task.name,
        task_description=task.about,
        task_args=dict(task.settings),
        solver=task.solver,
        tags=[origin.study],
        dataset=EvalDataset(name=task.name, samples=len(samples), sample_ids=[str(one.id) for one in samples]),
        model=task.model,
        config=EvalConfig(),
        revision=_revision(origin.commit),
        packages=dict(origin.packages),
        metadata={"study": origin.study, "seed": origin.seed, **task.settings},
    )
    results = EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=list(scores))
    return EvalLog(
        status="success",
        eval=spec,
        plan=EvalPlan(steps=[EvalPlanStep(solver=task.solver)]),
        results=results,
        stats=_stats(origin),
        samples=list(samples),
    )


def short_hash(*parts: Json) -> str:
    """An id that is the same for the same content."""
    return sha256_of(list(parts))[:ID_LENGTH]


def score(
    value: float | None,
    *,
    explanation: str = "",
    reason: str = "grader_failed",
    details: Mapping[str, Json] | None = None,
) -> Score:
    """A number, or for None a score that is kept and counted as unscored."""
    if value is None or math.isnan(value):
        return Score.unscored(reason=reason, explanation=explanation or None, metadata=dict(details or {}) or None)
    return Score(value=value, explanation=explanation or None, metadata=dict(details or {}) or None)


def means(name: str, by_group: Mapping[str, Sequence[float | None]]) -> EvalScore:
    """One score's means, one metric per group of samples; None is unscored. A group without any number has no mean."""
    metrics = {}
    for group, values in by_group.items():
        valid = [value for value in values if value is not None]
        if valid:
            key = f"mean_{group}"
            metrics[key] = EvalMetric(name=key, value=math.fsum(valid) / len(valid), metadata={"n": len(valid)})
    listed = [value for values in by_group.values() for value in values]
    unscored = sum(value is None for value in listed)
    return EvalScore(
        name=name, scorer=name, scored_samples=len(listed) - unscored, unscored_samples=unscored, metrics=metrics
    )


def _revision(commit: str) -> EvalRevision | None:
    if not commit:
        return None
    return EvalRevision(type="git", origin="", commit=commit.removesuffix("+"), dirty=commit.endswith("+"))


def _stats(origin: Origin) -> EvalStats:
    by_model: dict[str, ModelUsage] = {}
    by_role: dict[str, ModelUsage] = {}
    for row in origin.paid:
        usage = ModelUsage(
            input_tokens=row.input_tokens - row.cached_tokens,
            input_tokens_cache_read=row.cached_tokens,
            output_tokens=row.output_tokens,
            total_tokens=row.input_tokens + row.output_tokens,
            total_cost=row.cost,
        )
        by_model[row.model] = by_model.get(row.model, ModelUsage()) + usage
        by_role[row.role] = by_role.get(row.role, ModelUsage()) + usage
    times = [row.first_at for row in origin.paid] + [row.last_at for row in origin.paid]
    begun, ended = (min(times), max(times)) if times else (origin.created, origin.created)
    return EvalStats(
        started_at=_with_zone(begun).isoformat(),
        completed_at=_with_zone(ended).isoformat(),
        model_usage=by_model,
        role_usage=by_role,
    )


def _with_zone(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
