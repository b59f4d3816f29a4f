"""Ctrl-C, noticed whoever handles the signal.

Dagster and asyncio install handlers of their own for the time they work, and a run that was interrupted just before
its end looks like any other. `noticed` sees the signal beside all of them; `Interrupted` is what the command line turns
into one line and exit code 130.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from influence_assets.one_run import Outcome

_CAME: ContextVar[Callable[[], bool] | None] = ContextVar("_CAME", default=None)

EXIT_CODE = 130
"""What a shell gives a command that ended by SIGINT."""


class Interrupted(KeyboardInterrupt):
    """A person stopped the work; the message says what was kept and how to go on."""


def until_interrupted(outcomes: Generator[Outcome], n_parts: int) -> Iterator[Outcome]:
    """The outcomes of a command's `n_parts` runs until Ctrl-C; raises `Interrupted`, which says what was kept.

    The run that the signal met yields no outcome: what became of it is not its fault. A signal that came before this,
    within `noticed`, ends it before anything runs.
    """
    whole = 0
    try:
        stop_if_interrupted()
        with noticed() as interrupted, closing(outcomes):
            for outcome in outcomes:
                if interrupted():
                    raise KeyboardInterrupt
                whole += not outcome.error
                yield outcome
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted. Kept: {whole} of {n_parts} partitions whole, every asset of the next that had landed, and "
            "every answer that had come. The same command goes on from there"
        ) from None


@contextmanager
def noticed() -> Iterator[Callable[[], bool]]:
    """Within this block the function that is handed out says whether SIGINT or SIGTERM has come.

    Outside of the main thread, where Python has no signals, it always says no. What a handler raises while the
    interpreter collects garbage is no traceback then: `stop_if_interrupted` raises it again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    seen: set[int] = set()

    def came() -> bool:
        with suppress(BlockingIOError):
            seen.update(os.read(reading, 512))
        return bool(seen & {signal.SIGINT, signal.SIGTERM})

    token, hook = _CAME.set(came), sys.unraisablehook
    sys.unraisablehook = lambda found: None if _is_interrupt(found.exc_type) and came() else hook(found)
    try:
        yield came
    finally:
        sys.unraisablehook = hook
        _CAME.reset(token)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def _is_interrupt(kind: type[BaseException]) -> bool:
    """Python's own, or Dagster's: neither is an `Exception`."""
    return not issubclass(kind, Exception)


def stop_if_interrupted() -> None:
    """Raise `KeyboardInterrupt` when a signal has come within `noticed` and work goes on nevertheless.

    What a handler raises while the interpreter collects garbage is printed and forgotten: a run would go on to its end.
    """
    came = _CAME.get()
    if came is not None and came():
        raise KeyboardInterrupt


@contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Within this block SIGINT raises `KeyboardInterrupt`, whatever handler stood before.

    `asyncio.run` then cancels its main task, so that connections and the cache close in order; any other exception
    raised by a handler inside a loop ends up in a group of exceptions that looks like a failure of the task.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
