"""How many requests one provider account carries at a time: additive increase, multiplicative decrease.

What is promised (and tested as laws on a fake clock):
- never more than `floor(window)` slots are held, and the window never leaves [1, maximum];
- however many answers of one congestion episode say "too many requests", the window is halved once: only a request
  that started after the last cut, and at least a second after it, can cause the next one (providers count by the
  second or slower, so that more cuts would tell nothing new);
- with successes and without throttles the window returns to its maximum, one slot more per window of successes;
- after a Retry-After no slot is given before it has passed; the wait is bounded.

The rule is that of TCP congestion avoidance (Chiu and Jain 1989, "Analysis of the increase and decrease algorithms
for congestion avoidance"; one cut per round trip as in RFC 5681).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_DECREASE = 0.5
_EPISODE_S = 1.0
_OUTAGE_S = 5.0


@dataclass(slots=True)
class Slot:
    """The right to have one request in flight; `epoch` says after which cut it began."""

    epoch: int


class Limiter:
    """One account's window. Used from one event loop."""

    def __init__(
        self, maximum: int, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep, max_pause_s: float = 60.0
    ) -> None:
        self.maximum, self.window = maximum, float(maximum)
        self.in_flight, self.cuts = 0, 0
        self.failing_since: float | None = None
        self._said = False
        self._clock, self._sleep, self._max_pause_s = clock, sleep, max_pause_s
        self._resume_at = 0.0
        self._last_cut = -math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._woken = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a free slot, hold it for the block, give it back whatever happens."""
        await self._acquire()
        try:
            yield Slot(self.cuts)
        finally:
            self.in_flight -= 1
            self._wake()

    def succeeded(self) -> None:
        """An answer came: the window grows by one slot per window of successes."""
        self.failing_since, self._said = None, False
        if self.window < self.maximum:
            self.window = min(float(self.maximum), self.window + 1 / self.window)
            self._wake()

    def failed(self) -> bool:
        """A try failed: note since when nothing has come back. Returns whether this is worth saying: once per outage,
        when it has lasted a few seconds."""
        if self.failing_since is None:
            self.failing_since = self._clock()
        worth_saying = not self._said and self.silent_for() >= _OUTAGE_S
        self._said = self._said or worth_saying
        return worth_saying

    def throttled(self, slot: Slot, retry_after: float | None = None) -> bool:
        """The account said "too many requests". Returns whether this cut the window (once per episode)."""
        if retry_after is not None:
            pause = min(max(retry_after, 0.0), self._max_pause_s)
            self._resume_at = max(self._resume_at, self._clock() + pause)
        now = self._clock()
        if slot.epoch != self.cuts or now - self._last_cut < _EPISODE_S:
            return False
        self.cuts += 1
        self._last_cut = now
        self.window = max(1.0, self.window * _DECREASE)
        return True

    def silent_for(self) -> float:
        """Seconds since the first of the failures after which nothing succeeded; 0 when the last try succeeded."""
        return 0.0 if self.failing_since is None else self._clock() - self.failing_since

    async def _acquire(self) -> None:
        while True:
            while (pause := self._resume_at - self._clock()) > 0:
                await self._sleep(pause)
            if self.in_flight + self._woken < int(self.window):
                self.in_flight += 1
                return
            await self._wait_turn()
            if self.in_flight < int(self.window) and self._resume_at <= self._clock():
                self.in_flight += 1
                return

    async def _wait_turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
            self._woken -= 1
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._woken -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        """Hand free slots to those who wait, first come first served; `_woken` keeps others from slipping in."""
        while self._waiting and self.in_flight + self._woken < int(self.window):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._woken += 1
