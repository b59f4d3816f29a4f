"""A process that executes steps of a run, one after the other, for `step_pool.py`.

It stays for the whole run: libraries are imported once, and the project's definitions and Dagster's records are opened
once. It ends with its parent, whatever ended that, so that no step goes on which nobody waits for.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from dagster import DagsterEvent, DagsterInstance, DagsterRun
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.definitions.repository_definition import RepositoryLoadData
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.retries import RetryMode
from dagster._core.instance.ref import InstanceRef
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster._utils.interrupts import capture_interrupts
from dagster_shared.error import SerializableErrorInfo

from influence_assets.interrupts import noticed
from influence_assets.progress import handed_on
from resources.registry import ProviderName

DRAWN_EVERY_S = 0.1
IDLE_S = 10.0
"""How long nothing must come before heavy libraries are imported ahead of need."""


@dataclass(frozen=True)
class Order:
    """One step, and all that another process needs to execute it."""

    step_key: str
    job: ReconstructableJob
    run: DagsterRun
    run_config: dict[str, Any]
    known_state: KnownExecutionState
    retry_mode: RetryMode
    repository_load_data: RepositoryLoadData | None


@dataclass(frozen=True)
class Drawn:
    """How far a bar has come."""

    label: str
    done: int
    total: int


@dataclass(frozen=True)
class Ended:
    """A step's events, which Dagster's records have already; `error` where executing it broke off."""

    events: tuple[DagsterEvent, ...]
    error: SerializableErrorInfo | None = None


Message: TypeAlias = "Drawn | Ended"


def serve(orders: Connection, instance_ref: InstanceRef, *, bars: bool) -> None:
    """Execute what comes until the other end is closed; answers are `Drawn`, where there are `bars`, and `Ended`."""
    # The terminal's Ctrl-C reaches every process of its group: here the parent alone hands it on, once.
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def say(message: Message) -> None:
        with lock:
            orders.send(message)

    _get_ready(orders)
    with DagsterInstance.from_ref(instance_ref) as instance, handed_on(_thinned(say)) if bars else nullcontext():
        while True:
            try:
                order = orders.recv()
            except EOFError:
                return
            say(_executed(order, instance))


def _get_ready(orders: Connection) -> None:
    """Import what every step needs; and, when there is nothing to do for a while, what local models need. A study that
    is run again has work at once, and mostly none for them."""
    import influence_assets.definitions  # noqa: F401
    from influence_assets.partitions import PROJECT

    if not any(entry.provider is ProviderName.LOCAL for entry in PROJECT.registry.models) or orders.poll(IDLE_S):
        return
    for name in ("torch", "resources.local.provider", "transformers.models.auto.modeling_auto"):
        importlib.import_module(name)


def _executed(order: Order, instance: DagsterInstance) -> Ended:
    events: list[DagsterEvent] = []
    try:
        with noticed(), capture_interrupts():
            plan = create_execution_plan(
                order.job,
                run_config=order.run_config,
                step_keys_to_execute=[order.step_key],
                known_state=order.known_state,
                repository_load_data=order.repository_load_data,
            )
            events += execute_plan_iterator(
                plan,
                order.job,
                order.run,
                run_config=order.run_config,
                retry_mode=order.retry_mode.for_inner_plan(),
                instance=instance,
            )
    except BaseException:
        # An interrupt too: the parent must hear of it, and decides what becomes of the run.
        return Ended(tuple(events), serializable_error_info_from_exc_info(sys.exc_info()))
    return Ended(tuple(events))


def _thinned(say: Callable[[Message], None]) -> Callable[[str, int, int], None]:
    """Not every step of every bar is worth a message; the last is."""
    last: dict[str, float] = {}

    def draw(label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last.get(label, 0.0) >= DRAWN_EVERY_S:
            last[label] = now
            say(Drawn(label, done, total))

    return draw


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
