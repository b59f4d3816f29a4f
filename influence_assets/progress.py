"""Progress of long work, for a terminal or for Dagster's log, whoever listens.

The plain functions call `(done, total)` callbacks and know nothing of either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from resources.asking import Progress as Callback
from resources.errors import printable

# The command line's bars; None inside Dagster's own processes, where progress goes to the run's log.
_BARS: ContextVar[Progress | None] = ContextVar("_BARS", default=None)

# A process that works for the command line's: it hands (label, done, total) on to where the bars are.
_HAND_ON: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("_HAND_ON", default=None)

LOG_EVERY_S = 10.0


@contextmanager
def terminal_bars(console: Console) -> Iterator[Progress]:
    """Within this block every `reporter` draws a bar on the console."""
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bars:
        token = _BARS.set(bars)
        try:
            yield bars
        finally:
            _BARS.reset(token)


@contextmanager
def handed_on(draw: Callable[[str, int, int], None]) -> Iterator[None]:
    """Within this block every `reporter` gives `draw` its label, what is done and the total."""
    token = _HAND_ON.set(draw)
    try:
        yield
    finally:
        _HAND_ON.reset(token)


def bars_drawn() -> bool:
    """Whether bars are drawn here."""
    return _BARS.get() is not None


@contextmanager
def working(console: Console, label: str) -> Iterator[None]:
    """Within this block a terminal shows that something is done whose length nobody knows, and for how long already."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        shown.add_task(label, total=None)
        yield


def reporter(label: str, log: Callable[[str], None]) -> Callback:
    """A callback for (done, total): a bar under `terminal_bars`, else a log line at most every ten seconds."""
    hand_on = _HAND_ON.get()
    if hand_on is not None:
        return lambda done, total: hand_on(label, done, total)
    bars = _BARS.get()
    if bars is not None:
        task = bars.add_task(printable(label), total=None)
        return lambda done, total: bars.update(task, completed=done, total=total)
    last = time.monotonic()

    def to_log(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LOG_EVERY_S:
            last = time.monotonic()
            log(f"{label}: {done} of {total}")

    return to_log
