"""What a provider is: two verbs over one model, and an identity that names exactly which weights answered.

Implementations: `resources/openai_provider.py`, `resources/anthropic_provider.py`, `resources/local/provider.py`.
A provider raises `ProviderFault` for what may be tried again or has failed; everything that the model did answer,
refusals included, comes back as a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resources.messages import Estimator, Request, Status, Usage
from resources.steering import Steering


@dataclass(frozen=True, slots=True)
class Identity:
    """Which weights answer. All of it is part of the cache key.

    `weights` is the sha256 of a local model's weight files, or empty for an API; `revision` is the hub revision or
    the API's model version as configured.
    """

    provider: str
    model: str
    revision: str = ""
    weights: str = ""
    base_url: str = ""


class ProviderFault(Exception):
    """One try failed. `retryable` faults are tried again; `throttled` ones also shrink the limiter's window.

    `retry_after` is in seconds, already bounded to something sane; `kind` is a short word for the ledger.
    """

    def __init__(
        self, kind: str, message: str, *, retryable: bool, throttled: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind, self.retryable, self.throttled, self.retry_after = kind, retryable, throttled, retry_after


@dataclass(frozen=True, slots=True)
class Generated:
    """One answer as text, with what it cost."""

    text: str
    status: Status
    finish_reason: str
    usage: Usage
    provider_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One answer as a distribution over options: probabilities sum to 1, or are empty when nothing valid came."""

    probabilities: tuple[float, ...]
    mass: float
    status: Status
    estimator: Estimator
    usage: Usage
    provider_request_id: str = ""


class Provider(Protocol):
    """One model behind one protocol."""

    identity: Identity

    def adapter_hash(self, adapter: str | None) -> str:
        """sha256 of a LoRA checkpoint's files; empty without one."""
        ...

    def steering_hash(self, steering: Steering) -> str:
        """What of a steering belongs to an address; empty for none. An `InputError` where the model has no inside."""
        ...

    async def generate(self, request: Request) -> Generated: ...

    async def choose(self, request: Request, options: tuple[str, ...]) -> Chosen: ...

    async def aclose(self) -> None: ...
