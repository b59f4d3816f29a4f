"""What is asked of a model and what comes back: the types that every provider and every family share.

A reply is always a row. What went wrong is a `Status`, never an exception and never a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from resources.steering import Steering


class Status(StrEnum):
    """What became of a request. `VOID`: answered, but with too little mass on the valid answers to mean anything."""

    OK = "ok"
    REFUSAL = "refusal"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    CONTENT_FILTER = "content_filter"
    GAVE_UP = "gave_up"
    VOID = "void"


class Role(StrEnum):
    """The parts that a model can play in a study; `data/study.yaml` says which model plays which."""

    AGENT = "agent"
    CHARACTER = "character"
    PREFERENCE = "preference"
    VETO = "veto"
    TRANSITION = "transition"
    GENERATOR = "generator"
    FILTER_JUDGE = "filter_judge"
    EVALUATION_JUDGE = "evaluation_judge"


class Estimator(StrEnum):
    """Where a distribution comes from: first-token log-probabilities, exact token-sequence scores, or k samples."""

    LOGPROBS = "logprobs"
    SCORED = "scored"
    SAMPLED = "sampled"


class Message(BaseModel):
    """One message of a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Sampling(BaseModel):
    """How text is drawn. The defaults are the model's own distribution: temperature 1, nothing cut off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model. `model` is the registry's name; `adapter` a directory with a LoRA checkpoint.

    `steering` is what is done to the residual stream of a local model while it answers.
    `sample` numbers independent draws of the same question: another index is another address in the cache and
    another seed. `role` is for the ledger alone and is not part of the address.
    """

    model: str
    messages: tuple[Message, ...]
    role: Role
    sampling: Sampling = field(default_factory=Sampling)
    sample: int = 0
    adapter: str | None = None
    steering: Steering = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; `cached_tokens` are the part of the input that the provider served from its own cache."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What `generate` brings back. `text` is what the model wrote, as far as it came, whatever the status."""

    request_id: str
    status: Status
    text: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    latency_s: float = 0.0
    provider_request_id: str = ""
    cached: bool = False
    retries: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OptionProbabilities:
    """What `choose` brings back: the next-token distribution restricted to a closed set of answers.

    `probabilities` sum to 1 and line up with `options`; they are empty unless `status` is ok. `mass` is the
    probability that the model gave to all valid answers together, before they were scaled to 1 (nan when unknown).
    """

    request_id: str
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    mass: float
    status: Status
    estimator: Estimator
    usage: Usage = Usage()
    latency_s: float = 0.0
    provider_request_id: str = ""
    cached: bool = False
    retries: int = 0
    detail: str = ""

    def p(self, option: str) -> float:
        """Probability of one option; nan when the answer is void."""
        return self.probabilities[self.options.index(option)] if self.probabilities else math.nan

    def expected(self) -> float:
        """E[rating] = sum r p(r) over numeric options; nan when the answer is void."""
        if not self.probabilities:
            return math.nan
        return sum(float(option) * p for option, p in zip(self.options, self.probabilities, strict=True))
