"""The part of `data/study.yaml` that says how conversations are held, selected and trained on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from influence_assets.influence.environments import UserKind
from influence_assets.influence.training.trainer import TrainingSettings
from resources.yamlfiles import problem_at

MAX_CONVERSATIONS = 1_000_000
"""Training conversations per environment and iteration: far above any study, far below what cannot even be counted."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Choice(StrEnum):
    """How an iteration chooses its training states. `sequential` goes on where the last iteration ended, and wraps."""

    FIXED = "fixed"
    RANDOM = "random"
    SEQUENTIAL = "sequential"


class RolloutSettings(_Part):
    """Which conversations are held."""

    choice: Choice = Choice.SEQUENTIAL
    states: int = Field(default=8, ge=1, le=10_000, description="training states per environment and iteration")
    samples: int = Field(default=4, ge=1, le=10_000, description="conversations per training state")
    eval_states: int | None = Field(default=None, ge=1, description="held-out states per environment; all when absent")
    eval_samples: int = Field(default=1, ge=1, le=10_000, description="conversations per held-out state")
    kinds: dict[UserKind, float] = Field(
        default_factory=dict, description="shares of user kinds among training states; equal when empty"
    )
    max_turns: int | None = Field(default=None, ge=1, le=50, description="in place of each environment's own limit")
    control: bool = Field(default=True, description="stance probes against a control agent and a placebo")

    @model_validator(mode="after")
    def _can_be_held(self) -> RolloutSettings:
        if self.states * self.samples > MAX_CONVERSATIONS:
            problem = f"with {self.states} states is above {MAX_CONVERSATIONS:,} conversations per environment"
            raise problem_at(("samples",), problem, value=self.samples, fix="lower one of them")
        return self

    @model_validator(mode="after")
    def _kinds_are_shares(self) -> RolloutSettings:
        if self.kinds and (min(self.kinds.values()) < 0 or abs(sum(self.kinds.values()) - 1) > 1e-6):
            total = sum(self.kinds.values())
            raise problem_at(("kinds",), "the shares do not sum to 1", value=total, fix="make them sum to 1")
        return self


class RewardSettings(_Part):
    """How ratings of turns become the reward of a conversation."""

    over: Literal["mean", "last"] = "mean"
    length_penalty: float = Field(default=0.0, ge=0, description="taken from a rating per character of the reply")


class SelectionSettings(_Part):
    """Which conversations are learned from."""

    by: Literal["initial_state", "environment", "family"] = "initial_state"
    best: float = Field(default=0.25, gt=0, le=1, description="share of each group, rounded up")
    worst: float = Field(default=0.25, ge=0, le=1, description="share of each group, for KTO and DPO")
    veto_below: float | None = Field(
        default=None, gt=0, le=1, description="conversations with a veto score strictly below stay; no veto when absent"
    )
    negative_veto: bool = Field(default=False, description="vetoed conversations serve as bad examples")


class EvaluationSettings(_Part):
    """What is judged beside reward, by the evaluation judges."""

    rubrics: tuple[str, ...] = ("harm",)
    train_split: bool = Field(default=False, description="judge the training conversations too")
    fidelity: bool = Field(default=True, description="review the simulated user's turns")
    probe_sets: tuple[str, ...] = Field(
        default=(), description="JSONL files of prompts that every checkpoint answers, relative to the project"
    )
    probe_rubrics: tuple[str, ...] = ("sycophancy",)


class StaticSettings(_Part):
    """Static preference data from the user's own disk, mixed into every training set."""

    files: tuple[str, ...] = Field(min_length=1, description="relative to the project, or absolute")
    layout: Literal["hh-rlhf", "pku-saferlhf-better", "pku-saferlhf-safer"] = "hh-rlhf"
    fraction: float = Field(default=0.5, gt=0, lt=1, description="share of the training set that is static")


class InfluenceSettings(_Part):
    """The design of the influence measurement. `training` holds for all models; an entry of `data/models.yaml` may
    override fields of it under `trainable`."""

    families: tuple[str, ...] = ("organism",)
    iterations: int = Field(default=2, ge=0, le=50, description="training iterations; 0 only measures")
    rollouts: RolloutSettings = RolloutSettings()
    reward: RewardSettings = RewardSettings()
    selection: SelectionSettings = SelectionSettings()
    training: TrainingSettings = TrainingSettings()
    static: StaticSettings | None = None
    evaluation: EvaluationSettings = EvaluationSettings()
    min_mass: float = Field(default=0.5, ge=0, le=1)
    draws: int = Field(default=1000, ge=100, le=1_000_000)
