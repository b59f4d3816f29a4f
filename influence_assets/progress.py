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
def working(console: Console, label: str) -> Iterator[None]:
    """Within this block a terminal shows that something is done whose length nobody knows, and for how long already."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        shown.add_task(label, total=None)
        yield


def reporter(label: str, log: Callable[[str], None]) -> Callback:
    """A callback for (done, total): a bar under `terminal_bars`, else a log line at most every ten seconds."""
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
