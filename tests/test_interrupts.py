"""Ctrl-C is noticed whoever handles the signal, and handlers are back afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator

import pytest

from influence_assets.interrupts import (
    Interrupted,
    as_keyboard_interrupt,
    noticed,
    stop_if_interrupted,
    until_interrupted,
)
from influence_assets.runs import Outcome, Part


def swallowed_by_somebody() -> None:
    """SIGINT while a handler of somebody else's stands, as Dagster's does."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


class Collected:
    """Ctrl-C comes, or something else goes wrong, as this one is collected."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end

    def __del__(self) -> None:
        self._end()


def test_a_signal_amid_the_collection_of_garbage_is_noticed_and_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: printed.append(found.exc_type))
    hook = sys.unraisablehook
    with noticed() as came:
        Collected(lambda: 1 // 0)
        assert printed == [ZeroDivisionError]
        with as_keyboard_interrupt():
            Collected(lambda: signal.raise_signal(signal.SIGINT))
        assert printed == [ZeroDivisionError]
        assert came()
    assert sys.unraisablehook is hook


def test_a_swallowed_signal_is_noticed() -> None:
    with noticed() as came:
        assert not came()
        swallowed_by_somebody()
        assert came()
        assert came(), "it is not forgotten"
    with noticed() as came:
        assert not came(), "nor does it reach the next block"


def test_work_stops_before_its_next_part_though_the_signal_was_forgotten() -> None:
    stop_if_interrupted()
    with noticed():
        stop_if_interrupted()
        swallowed_by_somebody()
        with pytest.raises(KeyboardInterrupt):
            stop_if_interrupted()
    stop_if_interrupted()


def test_other_threads_have_no_signals() -> None:
    said = []

    def work() -> None:
        with noticed() as came, as_keyboard_interrupt():
            said.append(came())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert said == [False]


def test_a_loop_is_cancelled_in_order_though_another_handler_stood() -> None:
    class Odd(BaseException):
        pass

    def raises(*_: object) -> None:
        raise Odd

    closed = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(10)
        finally:
            closed.append(True)

    before = signal.signal(signal.SIGINT, raises)
    try:
        with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt():
            asyncio.run(main())
        assert signal.getsignal(signal.SIGINT) is raises
    finally:
        signal.signal(signal.SIGINT, before)
    assert closed == [True]


def test_the_run_that_the_signal_met_yields_nothing() -> None:
    seen: list[str] = []
    ended = []

    def outcomes() -> Generator[Outcome]:
        try:
            yield Outcome(Part("first", ()), "1")
            swallowed_by_somebody()
            yield Outcome(Part("second", ()), "2", error="DagsterExecutionInterruptedError", code=1)
            yield Outcome(Part("third", ()), "3")
        finally:
            ended.append(True)

    left = until_interrupted(outcomes(), 3)
    seen.append(next(left).part.partition)
    with pytest.raises(Interrupted, match="1 of 3 partitions"):
        next(left)
    assert seen == ["first"]
    assert ended == [True]


def test_a_signal_that_was_swallowed_before_the_first_run_is_heard() -> None:
    ran: list[str] = []

    def outcomes() -> Generator[Outcome]:
        ran.append("first")
        yield Outcome(Part("first", ()), "1")

    with noticed():
        swallowed_by_somebody()
        with pytest.raises(Interrupted, match="0 of 1 partitions"):
            list(until_interrupted(outcomes(), 1))
    assert ran == []
