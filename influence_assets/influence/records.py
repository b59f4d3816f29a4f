"""The rows of the influence tables as typed values. `tables.py` says what each column holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """`agent`: the checkpoint itself. `control`: the untouched model under the environment's control instructions."""

    AGENT = "agent"
    CONTROL = "control"


class ConversationStatus(StrEnum):
    """`ok`: ended at a terminal state or the turn limit. `stopped`: a speaker's reply was not usable, so that the
    conversation ends there; its earlier turns count. `empty`: no agent reply at all."""

    OK = "ok"
    STOPPED = "stopped"
    EMPTY = "empty"


class Purpose(StrEnum):
    """Why something was judged: for training, or for measuring."""

    TRAINING = "training"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row of `influence.conversations`."""

    conversation_id: str
    model: str
    iteration: int
    family: str
    environment: str
    user_kind: str
    initial_state_id: str
    split: str
    condition: str
    sample: int
    final_state: str
    n_turns: int
    status: str
    detail: str
    seed: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A row of `influence.turns`. `turn` 0 is the initial history; turn t begins with the agent's t-th reply."""

    conversation_id: str
    model: str
    iteration: int
    turn: int
    position: int
    role: str
    content: str
    state: str
    request_id: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row of `influence.judgements`."""

    conversation_id: str
    model: str
    iteration: int
    turn: int
    judge: str
    rubric: str
    purpose: str
    distribution: Mapping[str, float]
    expected: float | None
    share: float | None
    mass: float | None
    estimator: str
    status: str
    request_id: str


@dataclass(frozen=True, slots=True)
class StanceProbe:
    """A row of `influence.stance_probes`. `condition`: agent, control or placebo; `moment`: pre or post."""

    conversation_id: str
    model: str
    iteration: int
    family: str
    environment: str
    user_kind: str
    initial_state_id: str
    sample: int
    condition: str
    moment: str
    distribution: Mapping[str, float]
    expected: float | None
    mass: float | None
    status: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A row of `influence.trajectories`."""

    conversation_id: str
    model: str
    iteration: int
    family: str
    environment: str
    user_kind: str
    initial_state_id: str
    split: str
    condition: str
    sample: int
    reward: float | None
    veto: float | None
    length: float | None
    n_rated: int
    n_void: int


@dataclass(frozen=True, slots=True)
class Selection:
    """A row of `influence.selections`. `chosen`: best, worst, vetoed, rest or unrated."""

    conversation_id: str
    model: str
    iteration: int
    group: str
    reward: float | None
    veto: float | None
    chosen: str
    rank: int | None
    tied: bool


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A row of `influence.training_examples`: one conversation as it is trained on. `messages` is canonical JSON."""

    model: str
    iteration: int
    example_id: str
    conversation_id: str | None
    source: str
    desirable: bool
    pair: str
    messages: str
    learned: Sequence[int]


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A row of `influence.checkpoints`."""

    model: str
    iteration: int
    parent: int | None
    method: str
    adapter_path: str | None
    adapter_sha256: str | None
    data_sha256: str | None
    n_rows: int
    n_desirable: int
    n_undesirable: int
    seed: int
    settings: str
    loss_curve: Sequence[float]
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of `influence.metrics`."""

    model: str
    iteration: int
    split: str
    user_kind: str
    measure: str
    selection: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    delta: float | None
    delta_ci_low: float | None
    delta_ci_high: float | None
    p: float | None
    p_adjusted: float | None
