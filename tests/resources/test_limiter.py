"""Laws of the limiter and of trying again, on a clock that only moves when everybody waits."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.limiter import Limiter
from resources.providers import ProviderFault
from resources.trying import Patience, Persistence

T = TypeVar("T")


class FakeTime:
    """A clock and a sleep; time jumps to the next sleeper when nothing else can run."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + max(seconds, 0.0), self._count, wake))
        await wake

    async def _drive(self, work: asyncio.Task[T]) -> T:
        while not work.done():
            for _ in range(8):
                await asyncio.sleep(0)
            if self._sleepers and not work.done():
                self.now, _, wake = heapq.heappop(self._sleepers)
                if not wake.done():
                    wake.set_result(None)
        return work.result()

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def start() -> T:
            result = await self._drive(asyncio.create_task(main()))
            assert len(asyncio.all_tasks()) == 1, "a task was leaked"
            return result

        return asyncio.run(start())


outcomes = st.lists(
    st.tuples(
        st.sampled_from(["ok", "throttled", "down"]),
        st.floats(0.0, 3.0),
        st.one_of(st.none(), st.floats(0.0, 1e6)),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(maximum=st.integers(1, 12), outcomes=outcomes)
def test_never_above_the_maximum_and_every_slot_comes_back(
    maximum: int, outcomes: list[tuple[str, float, float | None]]
) -> None:
    time = FakeTime()
    limiter = Limiter(maximum, clock=time.clock, sleep=time.sleep, max_pause_s=60.0)
    held = most = 0

    async def one(kind: str, duration: float, retry_after: float | None) -> None:
        nonlocal held, most
        async with limiter.slot() as slot:
            assert held < int(limiter.window)
            held += 1
            most = max(most, held)
            await time.sleep(duration)
            held -= 1
            if kind == "ok":
                limiter.succeeded()
            elif kind == "throttled":
                limiter.throttled(slot, retry_after)
        assert 1.0 <= limiter.window <= maximum

    async def main() -> None:
        await asyncio.gather(*(one(*outcome) for outcome in outcomes))

    time.run(main)
    assert most <= maximum
    assert limiter.in_flight == 0


@settings(max_examples=50, deadline=None)
@given(maximum=st.integers(2, 64), throttled=st.integers(1, 64))
def test_one_cut_per_episode(maximum: int, throttled: int) -> None:
    """However many of the requests that are in flight together are throttled, the window is halved once."""
    time = FakeTime()
    limiter = Limiter(maximum, clock=time.clock, sleep=time.sleep)
    together = min(throttled, maximum)

    async def one() -> None:
        async with limiter.slot() as slot:
            await time.sleep(1.0)
            limiter.throttled(slot)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(together)))

    time.run(main)
    assert limiter.cuts == 1
    assert limiter.window == max(1.0, maximum / 2)


@settings(max_examples=40, deadline=None)
@given(waits=st.lists(st.floats(0.0, 2.0), min_size=2, max_size=20))
def test_no_two_cuts_within_a_second(waits: list[float]) -> None:
    time = FakeTime()
    limiter = Limiter(1_000_000, clock=time.clock, sleep=time.sleep)
    cuts: list[float] = []

    async def main() -> None:
        for wait in waits:
            await time.sleep(wait)
            async with limiter.slot() as slot:
                if limiter.throttled(slot):
                    cuts.append(time.now)

    time.run(main)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(cuts))
    assert len(cuts) == limiter.cuts >= 1


@settings(max_examples=30, deadline=None)
@given(maximum=st.integers(1, 24), cuts=st.integers(1, 6))
def test_recovers_to_the_maximum(maximum: int, cuts: int) -> None:
    time = FakeTime()
    limiter = Limiter(maximum, clock=time.clock, sleep=time.sleep)

    async def main() -> None:
        for _ in range(cuts):
            async with limiter.slot() as slot:
                assert limiter.throttled(slot)
            await time.sleep(1.0)
        for _ in range(maximum * maximum + maximum):
            async with limiter.slot():
                limiter.succeeded()

    time.run(main)
    assert limiter.window == maximum


def test_the_window_grows_by_one_slot_per_window_of_successes() -> None:
    limiter = Limiter(100)
    limiter.window = 20.0
    for _ in range(20):
        limiter.succeeded()
    assert 20.9 < limiter.window <= 21.0


@settings(max_examples=40, deadline=None)
@given(retry_after=st.floats(0.0, 1e9))
def test_no_slot_before_retry_after_which_is_bounded(retry_after: float) -> None:
    time = FakeTime()
    limiter = Limiter(4, clock=time.clock, sleep=time.sleep, max_pause_s=60.0)

    async def main() -> float:
        async with limiter.slot() as slot:
            limiter.throttled(slot, retry_after)
        async with limiter.slot():
            return time.now

    assert time.run(main) == min(retry_after, 60.0)


@settings(max_examples=40, deadline=None)
@given(cancelled=st.sets(st.integers(0, 19), max_size=19), maximum=st.integers(1, 4))
def test_who_is_cancelled_while_waiting_takes_no_slot_along(cancelled: set[int], maximum: int) -> None:
    time = FakeTime()
    limiter = Limiter(maximum, clock=time.clock, sleep=time.sleep)
    done: set[int] = set()

    async def one(number: int) -> None:
        async with limiter.slot():
            await time.sleep(1.0)
        done.add(number)

    async def main() -> None:
        tasks = [asyncio.create_task(one(number)) for number in range(20)]
        await time.sleep(0.5)
        for number in cancelled:
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    time.run(main)
    assert done == set(range(20)) - cancelled
    assert limiter.in_flight == 0


def persistence(time: FakeTime, limiter: Limiter, **patience: float) -> Persistence:
    return Persistence(limiter, Patience(**patience), time.clock, time.sleep, random.Random(1))  # type: ignore[arg-type]


def failing(fault: ProviderFault, times: int) -> Callable[[], Awaitable[str]]:
    left = iter(range(times))

    async def call() -> str:
        if next(left, None) is not None:
            raise fault
        return "answer"

    return call


@settings(max_examples=40, deadline=None)
@given(faults=st.integers(0, 12))
def test_waits_are_jittered_and_within_their_bound(faults: int) -> None:
    time = FakeTime()
    tries = persistence(time, Limiter(1, clock=time.clock, sleep=time.sleep), base_s=0.5, cap_s=4.0)

    async def main() -> None:
        tried = await tries.ask(failing(ProviderFault("server_error", "500", retryable=True), faults))
        assert (tried.value, tried.retries) == ("answer", faults)

    time.run(main)
    assert time.now <= sum(min(4.0, 0.5 * 2**n) for n in range(faults))


def test_gives_up_at_the_deadline_and_says_why() -> None:
    time = FakeTime()
    limiter = Limiter(2, clock=time.clock, sleep=time.sleep)
    tries = persistence(time, limiter, deadline_s=20.0)

    async def main() -> None:
        tried = await tries.ask(failing(ProviderFault("server_error", "500", retryable=True), 10**6))
        assert tried.value is None
        assert tried.fault is not None
        assert tried.fault.kind == "server_error"
        assert tried.retries >= 3

    time.run(main)
    assert time.now <= 20.0
    assert limiter.in_flight == 0


def test_a_dead_account_costs_each_later_request_one_try() -> None:
    time = FakeTime()
    limiter = Limiter(1, clock=time.clock, sleep=time.sleep)
    tries = persistence(time, limiter, deadline_s=20.0)
    asked = 0

    async def dead() -> str:
        nonlocal asked
        asked += 1
        await time.sleep(1.0)
        raise ProviderFault("connection", "refused", retryable=True)

    async def main() -> None:
        await tries.ask(dead)
        await time.sleep(30.0)
        before = asked
        for _ in range(10):
            assert (await tries.ask(dead)).value is None
        assert asked - before == 10

    time.run(main)


def test_what_cannot_be_mended_is_tried_once_and_what_cannot_be_read_a_few_times() -> None:
    time = FakeTime()
    tries = persistence(time, Limiter(1, clock=time.clock, sleep=time.sleep), malformed_tries=3)

    async def main() -> None:
        final = await tries.ask(failing(ProviderFault("bad_request", "400", retryable=False), 9))
        assert (final.value, final.retries) == (None, 0)
        unreadable = await tries.ask(failing(ProviderFault("malformed", "cut", retryable=True), 9))
        assert (unreadable.value, unreadable.retries) == (None, 2)

    time.run(main)


def test_who_waits_to_try_again_holds_no_slot() -> None:
    """One request in backoff does not keep its neighbour from the only slot."""
    time = FakeTime()
    limiter = Limiter(1, clock=time.clock, sleep=time.sleep)
    tries = persistence(time, limiter)
    slow = ProviderFault("server_error", "500", retryable=True, retry_after=50.0)

    async def neighbour() -> float:
        await time.sleep(1.0)
        assert (await tries.ask(failing(slow, 0))).value == "answer"
        return time.now

    async def main() -> None:
        bad, good = await asyncio.gather(tries.ask(failing(slow, 1)), neighbour())
        assert bad.value == "answer"
        assert good < 2.0

    time.run(main)
    assert time.now >= 50.0


def test_an_outage_is_told_once_and_again_after_it_was_over() -> None:
    time = FakeTime()
    limiter = Limiter(2, clock=time.clock, sleep=time.sleep)
    told: list[str] = []
    tries = Persistence(
        limiter, Patience(), time.clock, time.sleep, random.Random(2), on_trouble=lambda kind, _: told.append(kind)
    )
    outage = ProviderFault("connection", "refused", retryable=True)

    async def main() -> None:
        for _ in range(2):
            assert (await tries.ask(failing(outage, 12))).value == "answer"
        assert (await tries.ask(failing(outage, 1))).value == "answer"

    time.run(main)
    assert told == ["failing", "failing"]
