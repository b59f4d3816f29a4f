"""One checkpoint's answers under one steering method as an Inspect log.

Imports inspect_ai: import this module inside functions.

Every answer is a sample: its input is the statement (the wordings around it are in data/prompts/steerability), its
target whether the tested persona would agree, its output what the steered model finds likelier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from inspect_ai.log import EvalMetric, EvalSample, EvalScore
from inspect_ai.model import ChatCompletionChoice, ChatMessage, ChatMessageAssistant, ChatMessageUser, ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, Score

from influence_assets.exports.log_parts import Task, score, short_hash

AGREE, DISAGREE = "agree", "disagree"

_REASONS = {"refusal": "refusal", "content_filter": "refusal", "gave_up": "no_response"}


@dataclass(frozen=True)
class StoredResponse:
    """A row of `steerability.responses`, with the statement's text and the personas' names."""

    steered_persona_id: str
    test_persona_id: str
    steered_persona: str
    test_persona: str
    statement_id: str
    text: str
    repeat: int
    agree: bool
    p_agree: float | None
    mass: float | None
    correct: bool | None
    status: str
    estimator: str
    p_variants: Sequence[float | None]
    request_id: str


def response_task(model: str, iteration: int, method: str, n_steer: int, about: str) -> Task:
    """How the log is called; methods that show statements carry their number."""
    return Task(
        name=f"steerability-{method}" + (f"-{n_steer}" if n_steer else ""),
        about=about,
        solver=method,
        model=f"{model}@{iteration}",
        settings={"model": model, "iteration": iteration, "method": method, "n_steer": n_steer},
    )


def response_samples(rows: Sequence[StoredResponse], model: str) -> list[EvalSample]:
    """One sample per answer; draws of the steering set are epochs. `model` is the task's."""
    return [_sample(row, model) for row in rows]


def response_scores(rows: Sequence[StoredResponse], summary: pl.DataFrame) -> list[EvalScore]:
    """Accuracy on the steered persona's own statements and on others', and the summary's scores.

    `summary`: rows of `steerability.summary` of this method over all personas.
    """
    groups = {
        "own": [row.correct for row in rows if row.steered_persona_id == row.test_persona_id],
        "others": [row.correct for row in rows if row.steered_persona_id != row.test_persona_id],
    }
    metrics = {}
    for group, answers in groups.items():
        valid = [answer for answer in answers if answer is not None]
        if valid:
            name = f"accuracy_{group}"
            metrics[name] = EvalMetric(name=name, value=sum(valid) / len(valid), metadata={"n": len(valid)})
    scored = sum(row.correct is not None for row in rows)
    correct = EvalScore(
        name="correct", scorer="correct", scored_samples=scored, unscored_samples=len(rows) - scored, metrics=metrics
    )
    known = summary.drop_nulls("value").sort("score")
    whole = {
        row["score"]: EvalMetric(
            name=row["score"],
            value=row["value"],
            metadata={name: row[name] for name in ("ci_low", "ci_high", "chance", "n")},
        )
        for row in known.iter_rows(named=True)
    }
    return [correct, *([EvalScore(name="summary", scorer="summary", metrics=whole)] if whole else [])]


def _sample(row: StoredResponse, model: str) -> EvalSample:
    sample_id = f"{row.steered_persona_id}-{row.test_persona_id}-{row.statement_id}"
    epoch = row.repeat + 1
    statement = ChatMessageUser(id=short_hash(sample_id, epoch, "statement"), content=row.text, source="input")
    answer = None if row.p_agree is None else AGREE if row.p_agree > 0.5 else DISAGREE
    messages: list[ChatMessage] = [statement]
    output = ModelOutput(model=model)
    if answer is not None:
        said = ChatMessageAssistant(id=short_hash(sample_id, epoch, "answer"), content=answer, model=model)
        messages.append(said)
        output = ModelOutput(model=model, choices=[ChatCompletionChoice(message=said, stop_reason="stop")])
    return EvalSample(
        id=sample_id,
        epoch=epoch,
        uuid=short_hash("sample", sample_id, epoch, model),
        input=[statement],
        target=AGREE if row.agree else DISAGREE,
        messages=messages,
        output=output,
        scores=_scores(row, answer),
        metadata=_metadata(row),
    )


def _scores(row: StoredResponse, answer: str | None) -> Mapping[str, Score]:
    reason = _REASONS.get(row.status, "invalid_response_format")
    told = _explanation(row)
    p_agree = score(row.p_agree, explanation=told, reason=reason)
    if row.correct is None:
        return {"correct": Score.unscored(reason=reason, explanation=told), "p_agree": p_agree}
    correct = Score(value=CORRECT if row.correct else INCORRECT, answer=answer, explanation=told)
    return {"correct": correct, "p_agree": p_agree}


def _explanation(row: StoredResponse) -> str:
    if row.p_agree is None:
        return row.status
    variants = ", ".join("void" if p is None else f"{p:.3f}" for p in row.p_variants)
    mass = "" if row.mass is None else f", mass on the valid answers {row.mass:.3f}"
    return f"P(agree) {row.p_agree:.3f}, over the wordings of the question: {variants}{mass}"


def _metadata(row: StoredResponse) -> dict[str, str | bool | None]:
    return {
        "steered_to": row.steered_persona,
        "statement_of": row.test_persona,
        "own": row.steered_persona_id == row.test_persona_id,
        "steered_persona_id": row.steered_persona_id,
        "test_persona_id": row.test_persona_id,
        "statement_id": row.statement_id,
        "status": row.status,
        "estimator": row.estimator,
        "request_id": row.request_id or None,
    }
