"""One checkpoint's conversations in one family of environments as an Inspect log.

Imports inspect_ai: import this module inside functions.

Every conversation is a sample. Its messages are what was said, under the agent's own instructions; its scores are the
training judges' reward and veto, harm, the shift of stance, and what each rubric was expected to be answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from inspect_ai.log import EvalSample, EvalScore
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ModelOutput,
)
from inspect_ai.scorer import Score
from inspect_ai.tool import ToolCall

from influence_assets.exports.log_parts import Task, means, score, short_hash
from influence_assets.exports.stored import StoredConversation
from influence_assets.influence.measures import HARM
from influence_assets.influence.records import CheckpointRow, Condition, Judgement, Purpose, Turn
from influence_assets.influence.tools import Tools
from influence_assets.influence.transcript import Speaker
from resources.content import Json

STANCE = ("stance_shift", "stance_shift_over_control", "stance_shift_over_placebo")

EXPECTED = "expected_"
"""Scores of this prefix are expected answers on the rubric's own scale (`judged_*` in influence.metrics are 0 to 1)."""


def conversation_task(family: str, checkpoint: CheckpointRow, about: str) -> Task:
    """How the log is called. The model's name carries the iteration, so that checkpoints stand side by side."""
    return Task(
        name=f"influence-{family}",
        about=about,
        solver="conversation",
        model=f"{checkpoint.model}@{checkpoint.iteration}",
        settings={
            "model": checkpoint.model,
            "iteration": checkpoint.iteration,
            "family": family,
            "training_method": checkpoint.method,
            "adapter_sha256": checkpoint.adapter_sha256,
            "data_sha256": checkpoint.data_sha256,
        },
    )


def conversation_samples(stored: Iterable[StoredConversation]) -> list[EvalSample]:
    """One sample per conversation, in the given order."""
    return [_sample(one) for one in stored]


def conversation_scores(samples: Sequence[EvalSample]) -> list[EvalScore]:
    """The mean of every score per split, over the agent's own conversations (the control agent's are not scored)."""
    names = dict.fromkeys(name for sample in samples for name in sample.scores or {})
    splits = sorted({str(sample.metadata["split"]) for sample in samples})
    return [
        means(name, {split: [value for _, value in _values(samples, name, split)] for split in splits})
        for name in names
    ]


def _values(samples: Sequence[EvalSample], name: str, split: str) -> Iterator[tuple[str, float | None]]:
    for sample in samples:
        found = (sample.scores or {}).get(name)
        if found is not None and sample.metadata["split"] == split:
            number = found.as_float()
            yield str(sample.id), None if number != number else number


def _sample(stored: StoredConversation) -> EvalSample:
    row = stored.conversation
    said = list(_messages(stored))
    begun = [message for message in said if message.source == "input"]
    last = next((message for message in reversed(said) if isinstance(message, ChatMessageAssistant)), None)
    shown = asdict(row)
    return EvalSample(
        id=row.conversation_id,
        epoch=1,
        uuid=short_hash("sample", row.conversation_id),
        input=begun,
        target="",
        description=stored.scene.about or None,
        messages=said,
        output=_output(last, f"{row.model}@{row.iteration}"),
        scores=_scores(stored) if row.condition == Condition.AGENT else {},
        metadata={name: value for name, value in shown.items() if name != "conversation_id"}
        | {"initial_state_variables": dict(stored.scene.variables)},
        turn_count=row.n_turns,
    )


def _output(last: ChatMessageAssistant | None, model: str) -> ModelOutput:
    choices = [] if last is None else [ChatCompletionChoice(message=last, stop_reason="stop")]
    return ModelOutput(model=model, choices=choices)


def _messages(stored: StoredConversation) -> Iterator[ChatMessage]:
    """The agent's instructions and what was said; the initial history has the source `input`."""
    row, tools = stored.conversation, Tools(stored.scene.tools)
    if stored.scene.instructions:
        message_id = short_hash(row.conversation_id, "instructions")
        yield ChatMessageSystem(id=message_id, content=stored.scene.instructions)
    called: ToolCall | None = None
    for turn, after in zip(stored.turns, (*stored.turns[1:], None), strict=True):
        if turn.role == Speaker.AGENT:
            answered = after is not None and after.role == Speaker.TOOL
            called = _call(turn, tools) if answered else None
        yield _message(turn, f"{row.model}@{row.iteration}", called)


def _call(turn: Turn, tools: Tools) -> ToolCall:
    """The call that an agent's words are: Inspect shows a tool's answer only beside its call."""
    answer = tools.answer(turn.content)
    name = Speaker.TOOL.value if answer is None else answer.tool.name
    return ToolCall(id=short_hash(turn.conversation_id, turn.position, "call"), function=name, arguments={})


def _message(turn: Turn, model: str, called: ToolCall | None) -> ChatMessage:
    message_id = short_hash(turn.conversation_id, turn.position)
    details: dict[str, str | int] = {"turn": turn.turn, "state": turn.state}
    details |= {} if turn.status == "ok" else {"status": turn.status}
    details |= {} if turn.request_id is None else {"request_id": turn.request_id}
    source = "input" if turn.turn == 0 else None
    if turn.role == Speaker.AGENT:
        return ChatMessageAssistant(
            id=message_id,
            content=turn.content,
            source=source or "generate",
            model=None if turn.request_id is None else model,
            tool_calls=None if called is None else [called],
            metadata=details,
        )
    if turn.role == Speaker.TOOL and called is not None:
        return ChatMessageTool(
            id=message_id,
            content=turn.content,
            source=source,
            tool_call_id=called.id,
            function=called.function,
            metadata=details,
        )
    # What the environment reports reaches the agent as a user's message; the metadata tell the two apart.
    details |= {} if turn.role == Speaker.CHARACTER else {"role": turn.role}
    return ChatMessageUser(id=message_id, content=turn.content, source=source, metadata=details)


def _scores(stored: StoredConversation) -> dict[str, Score]:
    trained, evaluated = (_by_rubric(stored.judgements, purpose) for purpose in (Purpose.TRAINING, Purpose.EVALUATION))
    found: dict[str, Score] = {}
    if stored.trajectory is not None:
        found["reward"] = score(
            stored.trajectory.reward,
            explanation=_distributions(trained.get("preference", ())),
            details={"rated_turns": stored.trajectory.n_rated, "void_turns": stored.trajectory.n_void},
        )
        found["veto"] = score(stored.trajectory.veto, explanation=_distributions(trained.get("veto", ())))
    if evaluated and stored.harm:
        found[HARM] = score(stored.measures.get(HARM), explanation=_parts_of_harm(stored.harm, evaluated))
    found |= {name: score(stored.measures[name]) for name in STANCE if name in stored.measures}
    return found | {f"{EXPECTED}{name}": _rubric_score(rows) for name, rows in sorted(evaluated.items())}


def _rubric_score(rows: Sequence[Judgement]) -> Score:
    """The mean expected answer over turns and judges; `share` puts it on a scale from 0 to 1."""
    return score(
        _mean([row.expected for row in rows]),
        explanation=_distributions(rows),
        details={
            "share": _mean([row.share for row in rows]),
            "judges": list[Json](sorted({row.judge for row in rows})),
            "void": sum(row.expected is None for row in rows),
        },
    )


def _by_rubric(judgements: Iterable[Judgement], purpose: Purpose) -> dict[str, list[Judgement]]:
    found: dict[str, list[Judgement]] = {}
    for row in sorted(judgements, key=lambda one: (one.rubric, one.turn, one.judge)):
        if row.purpose == purpose:
            found.setdefault(row.rubric, []).append(row)
    return found


def _distributions(rows: Sequence[Judgement]) -> str:
    """A line per turn and judge: the expected answer and the probability of each, or why there is none."""
    return "\n".join(_distribution(row) for row in rows)


def _distribution(row: Judgement) -> str:
    where = f"turn {row.turn}, {row.judge}" if row.turn else row.judge
    if row.expected is None:
        return f"{where}: {row.status}"
    answers = ", ".join(f"{option}: {p:.3f}" for option, p in dict(row.distribution).items())
    return f"{where}: expected {row.expected:.3f} ({answers})"


def _parts_of_harm(harm: Mapping[str, str], by_rubric: Mapping[str, Sequence[Judgement]]) -> str:
    """A line per rubric: its mean share over turns and judges, and which way it counts."""
    shares = {name: _mean([row.share for row in by_rubric.get(name, ())]) for name in harm}
    told = {name: "void" if share is None else f"{share:.3f}" for name, share in shares.items()}
    return "\n".join(f"{name} {way} it: {told[name]}" for name, way in harm.items())


def _mean(values: Iterable[float | None]) -> float | None:
    valid = [value for value in values if value is not None]
    return sum(valid) / len(valid) if valid else None
