"""What training takes and gives: conversations and settings in, a checkpoint out, whoever does the work.

A `TrainingJob` is complete: the same job gives the same checkpoint. `LocalTrainer` (local.py) runs it in a process of
its own, `RemoteTrainer` (remote.py) hands it to a provider. Both keep their records in `job.out`, so that a job that
was killed is run again by calling `train` again, and a finished one is not run twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from resources.asking import Progress
from resources.content import sha256_of
from resources.messages import Message


class Method(StrEnum):
    """Expert iteration is supervised training on the best; KTO takes labels, DPO pairs of a better and a worse."""

    EXPERT_ITERATION = "expert_iteration"
    KTO = "kto"
    DPO = "dpo"


@dataclass(frozen=True)
class Example:
    """One training conversation as the agent saw it.

    `learned` are the indices in `messages` of the assistant messages that are learned; every other token is masked.
    `desirable` is KTO's label and DPO's choice; `pair` joins the two halves of a DPO pair, whose messages agree up to
    the learned one. `source` says where it came from: "rollout" or "static".
    """

    example_id: str
    messages: tuple[Message, ...]
    learned: tuple[int, ...]
    desirable: bool = True
    pair: str = ""
    source: str = "rollout"


class LoraSettings(BaseModel):
    """A LoRA adapter: updates of rank `rank`, scaled by `alpha / rank`, on the named linear layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


class TrainingSettings(BaseModel):
    """How to train, as in `data/study.yaml`.

    `learning_rate` falls linearly to 0 after `warmup`, a share of all steps. `batch_size` is per process; a step
    takes `batch_size * gradient_accumulation` rows of each process. `max_length` is in tokens; rows above it are left
    out and counted, never cut. `beta` is KTO's and DPO's. KTO's weights follow from the counts and `target_ratio`
    (see `balance.py`) unless both are given. `start` says whether the adapter goes on from the previous iteration's,
    `reference` what KTO and DPO compare with: the base model or the previous iteration's. `report_to` names trl's own
    reporters. `accelerate_config` is the user's own file for `accelerate launch`, `python` the interpreter of another
    environment. Training runs in float32 on a CPU, in `dtype` on a GPU (auto: bfloat16); `gradient_checkpointing` saves
    memory and costs time: a third of the memory in twice the time for a billion parameters on one GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = Method.EXPERT_ITERATION
    lora: LoraSettings = LoraSettings()
    learning_rate: float = Field(default=1e-4, gt=0)
    epochs: int = Field(default=1, ge=1, le=1000)
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    max_length: int = Field(default=2048, ge=2)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool = False
    beta: float = Field(default=0.1, gt=0)
    desirable_weight: float | None = Field(default=None, gt=0)
    undesirable_weight: float | None = Field(default=None, gt=0)
    target_ratio: float = Field(default=1.05, gt=0)
    start: Literal["previous", "fresh"] = "previous"
    reference: Literal["base", "previous"] = "base"
    report_to: tuple[str, ...] = ()
    accelerate_config: str | None = None
    python: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class TrainingJob:
    """One training run. `base_model` and `previous_adapter` are directories, or a provider's names for RemoteTrainer.

    `out` belongs to the job alone: records of the work, and at the end the adapter in `out/adapter`.
    """

    base_model: str
    previous_adapter: str | None
    examples: tuple[Example, ...]
    settings: TrainingSettings
    seed: int
    out: Path


class LossPoint(NamedTuple):
    """Training loss at one optimiser step, counted from 1."""

    step: int
    loss: float


@dataclass(frozen=True)
class Checkpoint:
    """What a finished job left.

    `adapter_path` is the adapter's directory, or a provider's name of the trained model, of which `adapter_sha256`
    is then the hash. `n_rows` are the rows that were trained on: conversations for expert iteration, (prompt, reply)
    rows for KTO, pairs for DPO; `n_desirable` and `n_undesirable` are the replies of each label in them, `n_too_long`
    the examples that were left out, `n_unpaired` the replies of DPO pairs that have no counterpart with the same
    prompt, `n_learned_tokens` the tokens with loss in one epoch. `metrics` are trl's last
    logged values. `seconds` is the time of the training process, start included, or
    of the provider's job.
    """

    adapter_path: str
    adapter_sha256: str
    data_sha256: str
    n_rows: int
    n_desirable: int
    n_undesirable: int
    n_too_long: int
    n_unpaired: int
    n_learned_tokens: int
    loss_curve: tuple[LossPoint, ...]
    metrics: Mapping[str, float]
    settings: TrainingSettings
    seed: int
    seconds: float


class Trainer(Protocol):
    """Trains, or finishes what an earlier call began; calls `on_progress(step, steps)` as steps are made."""

    def train(self, job: TrainingJob, on_progress: Progress | None = None) -> Checkpoint:
        """Raises `InputError` for examples or settings that cannot be trained on, `InfluenceError` for a failed run."""
        ...


_EXAMPLES: TypeAdapter[tuple[Example, ...]] = TypeAdapter(tuple[Example, ...])


def data_hash(examples: Sequence[Example]) -> str:
    """sha256 of the examples' canonical JSON, in their order."""
    return sha256_of(_EXAMPLES.dump_python(tuple(examples), mode="json"))
