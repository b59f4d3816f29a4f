"""Trying again: what a failing provider costs is time, not data, and not anybody else's time.

`Persistence.ask` runs one call until it succeeds, fails for good, or has no patience left. Only the try itself holds a
slot of the account's limiter; who waits to try again holds nothing. The wait is drawn uniformly from [0, cap * 2^n]
("full jitter", M. Brooker 2015, "Exponential backoff and jitter"), or is what the server asked for.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from resources.limiter import Clock, Limiter, Sleep
from resources.providers import ProviderFault

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. `attempt_s` bounds one try (None: nothing does), `deadline_s` all tries and waits of a request.

    `malformed_tries` bounds the tries of a request whose answers arrive but cannot be read (cut JSON, no choices).
    An account from which nothing at all came for `deadline_s` gets one try per request, not the whole deadline.
    """

    attempt_s: float | None = 300.0
    deadline_s: float = 600.0
    base_s: float = 0.5
    cap_s: float = 30.0
    max_retry_after_s: float = 60.0
    malformed_tries: int = 4


@dataclass(frozen=True, slots=True)
class Tried(Generic[T]):
    """What became of a call: its value, or the last fault. `retries` counts the tries after the first; `latency_s` goes
    from the start of the first try to the end of the last, waits between them included."""

    value: T | None
    fault: ProviderFault | None
    retries: int
    latency_s: float


@dataclass(slots=True)
class Persistence:
    """Tries one account's calls through its limiter."""

    limiter: Limiter
    patience: Patience
    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    on_trouble: Callable[[str, ProviderFault], None] = lambda *_: None

    async def ask(self, call: Callable[[], Awaitable[T]]) -> Tried[T]:
        """The value of `call()`, tried again while its faults are retryable. Never raises a `ProviderFault`."""
        began, tries, malformed = self.clock(), 0, 0
        while True:
            async with self.limiter.slot() as slot:
                # The deadline counts from the first try: a long queue is not the provider's failure.
                started = self.clock()
                began = started if tries == 0 else began
                try:
                    value = await self._one_try(call)
                except ProviderFault as raised:
                    fault = raised
                    if fault.retryable and self.limiter.failed():
                        self.on_trouble("failing", fault)
                    if fault.throttled and self.limiter.throttled(slot, fault.retry_after):
                        self.on_trouble("throttled", fault)
                else:
                    self.limiter.succeeded()
                    return Tried(value, None, tries, self.clock() - began)
            tries += 1
            malformed += fault.kind == "malformed"
            wait = self._wait(fault, tries)
            out_of_time = self.clock() - began + wait > self.patience.deadline_s
            hopeless = self.limiter.silent_for() > self.patience.deadline_s
            if not fault.retryable or out_of_time or hopeless or malformed >= self.patience.malformed_tries:
                return Tried(None, fault, tries - 1, self.clock() - began)
            await self.sleep(wait)

    async def _one_try(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.patience.attempt_s):
                return await call()
        except TimeoutError:
            raise ProviderFault(
                "timeout", f"no complete answer within {self.patience.attempt_s} s", retryable=True
            ) from None

    def _wait(self, fault: ProviderFault, tries: int) -> float:
        if fault.retry_after is not None:
            return min(max(fault.retry_after, 0.0), self.patience.max_retry_after_s)
        return self.rng.uniform(0.0, min(self.patience.cap_s, self.patience.base_s * 2.0 ** min(tries - 1, 30)))
