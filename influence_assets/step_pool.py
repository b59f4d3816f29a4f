"""Dagster's executor of steps that do not stand on each other: several at once, in processes that stay for the run.

Dagster's own multiprocess executor starts a process for every step, which imports everything anew (five seconds with
torch) and draws no bars.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import dagster as dg
from dagster import DagsterEvent
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import EngineEventData
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.instance.ref import InstanceRef
from dagster_shared.error import SerializableErrorInfo

from influence_assets.progress import bars_drawn, reporter
from influence_assets.step_worker import Drawn, Ended, Message, Order, serve
from resources.asking import Progress

NAME = "steps"
LOOK_EVERY_S = 0.2
"""How often a run that waits for its steps looks for an interrupt."""
FRESH_AFTER_S = 2.0
"""How long all others must have been busy before a process that has done nothing yet gets a step."""

ALIKE = "influence/asks_alike"
"""Steps with the same value of this tag have questions in common, which two processes would both pay for."""


def alike_tags(questions: str) -> dict[str, str]:
    """The tag of a step that keeps it from running beside others that ask the same `questions`; none where empty."""
    return {ALIKE: questions} if questions else {}


def steps_executor(workers: int) -> dg.ExecutorDefinition:
    """Steps in the run's own process (`workers` 1), or in so many of their own; a run's config may say how many."""
    field = dg.Field(int, default_value=workers, description="steps at once, each in a process of its own; 1: here")

    @dg.executor(name=NAME, config_schema={"workers": field}, requirements=multiple_process_executor_requirements())
    def steps(context: dg.InitExecutorContext) -> Executor:
        wanted = int(context.executor_config["workers"])  # type: ignore[call-overload]
        return StepPool(wanted) if wanted > 1 else InProcessExecutor(RetryMode.ENABLED)

    return steps


_KEPT: list[_Process] = []
"""Free processes of this command, started in the instance that its runs have in common."""


@contextmanager
def kept_processes(instance: dg.DagsterInstance, workers: int) -> Iterator[None]:
    """Within this block two of `workers` processes get ready for the first run that has work for them (more are started
    when there is work for more), and each run leaves its own to the next."""
    _KEPT.extend(_Process(instance.get_ref()) for _ in range(min(workers, 2)))
    try:
        yield
    finally:
        while _KEPT:
            _KEPT.pop().end()


class StepPool(Executor):
    """At most `workers` steps at once, those with most steps above one another behind them first. A process that dies
    costs the step that it was at.

    Where no two steps may run at once, the run's own process executes them, unless processes wait for them.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def retries(self) -> RetryMode:
        return RetryMode.ENABLED

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        kept, heights = bool(_KEPT), _heights(execution_plan)
        if not kept and len(set(heights.values())) == len(heights):  # each stands on the one before
            yield from InProcessExecutor(self.retries).execute(plan_context, execution_plan)
            return
        processes, _KEPT[:] = _KEPT[: self._workers], _KEPT[self._workers :]
        data = EngineEventData.multiprocess(os.getpid(), execution_plan.step_keys_to_execute)
        message = f"Executing {self._workers} steps at once, each in a process of its own"
        yield DagsterEvent.engine_event(plan_context, message, data)
        slots = InstanceConcurrencyContext(plan_context.instance, plan_context.dagster_run)
        active = ActiveExecution(
            execution_plan,
            self.retries,
            sort_key_fn=lambda step: -heights[step.key],
            max_concurrent=self._workers,
            tag_concurrency_limits=[{"key": ALIKE, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}],
            instance_concurrency_context=slots,
        )
        try:
            with slots, active:
                yield from self._until_done(plan_context, execution_plan, active, processes)
        finally:
            for process in processes:
                if kept and not process.step_key:
                    _KEPT.append(process)
                else:
                    process.end()

    def _until_done(
        self,
        context: PlanOrchestrationContext,
        plan: ExecutionPlan,
        active: ActiveExecution,
        processes: list[_Process],
    ) -> Iterator[DagsterEvent]:
        stopping = False
        while any(process.step_key for process in processes) or not (stopping or active.is_complete):
            if active.check_for_interrupts():
                busy = [process for process in processes if process.step_key]
                if not stopping:
                    stopping = True
                    active.mark_interrupted()
                    data = EngineEventData.interrupted([process.step_key for process in busy])
                    yield DagsterEvent.engine_event(context, "Interrupted: the steps under way end.", data)
                # Each Ctrl-C goes on to them, as it would reach a step in this process: some end at the second.
                for process in busy:
                    process.interrupt()
            if not stopping:
                yield from self._given_out(context, plan, active, processes)
            yield from self._come_back(context, active, processes)
            yield from active.plan_events_iterator(context)
        if stopping:
            raise DagsterExecutionInterruptedError

    def _given_out(
        self,
        context: PlanOrchestrationContext,
        plan: ExecutionPlan,
        active: ActiveExecution,
        processes: list[_Process],
    ) -> Iterator[DagsterEvent]:
        processes[:] = [one for one in processes if one.step_key or one.is_alive()]
        free = self._free(processes)
        steps = active.get_steps_to_execute(limit=len(free))
        yield from active.concurrency_event_iterator(context)
        for step, one in zip(steps, free, strict=False):
            process = one or _Process(context.instance.get_ref())
            processes += [process] if one is None else []
            process.give(
                Order(
                    step.key,
                    context.reconstructable_job,
                    context.dagster_run,
                    dict(context.run_config),
                    active.get_known_state(),
                    self.retries,
                    plan.repository_load_data,
                )
            )

    def _free(self, processes: Sequence[_Process]) -> list[_Process | None]:
        """Processes that may have a step now; None stands for one that is yet to be started.

        A process that has had none so far imports what its first step needs, which takes longer than the steps of a
        study that is run again: it has one only when the others are busy for a while.
        """
        free, busy = [one for one in processes if not one.step_key], [one for one in processes if one.step_key]
        used: list[_Process | None] = [one for one in free if one.used]
        if used or any(time.monotonic() - one.since < FRESH_AFTER_S for one in busy):
            return used
        return [next(iter(free), None)] if len(busy) < self._workers else []

    def _come_back(
        self, context: PlanOrchestrationContext, active: ActiveExecution, processes: list[_Process]
    ) -> Iterator[DagsterEvent]:
        """What processes have said, or that they are gone; waits a moment for the first."""
        ready = wait([process.messages for process in processes if process.step_key], LOOK_EVERY_S)
        for process in [process for process in processes if process.messages in ready]:
            key, ended = process.step_key, process.heard()
            if ended is None:
                continue
            for event in ended.events:
                active.handle_event(event)
                yield event
            if ended.error is not None and not _is_over(ended.events, key):
                if process.gone:
                    processes.remove(process)
                step = context.for_step(active.get_step_by_key(key))
                failed = self.log_failure_or_retry_event_after_error(step, ended.error, active.get_known_state())
                active.handle_event(failed)
                yield failed
            active.verify_complete(context, key)


def _heights(plan: ExecutionPlan) -> dict[str, int]:
    """For each step the most steps that stand above one another on it."""
    heights = dict.fromkeys(plan.step_keys_to_execute, 0)
    needs = plan.get_executable_step_deps()
    for key in (step.key for level in reversed(plan.get_steps_to_execute_by_level()) for step in level):
        for below in needs[key]:
            heights[below] = max(heights[below], heights[key] + 1)
    return heights


def _is_over(events: tuple[DagsterEvent, ...], step_key: str) -> bool:
    return any(
        event.step_key == step_key and (event.is_step_success or event.is_step_failure or event.is_step_up_for_retry)
        for event in events
    )


class _Process:
    """A process that executes steps, and the step that it is at (empty when it is free)."""

    def __init__(self, instance_ref: InstanceRef) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads that hold locks
        self.messages: Connection
        self.messages, theirs = context.Pipe()
        self.step_key, self.since, self.used, self.gone = "", 0.0, False, False
        self._bars: dict[str, Progress] = {}
        self._process: BaseProcess = context.Process(
            target=serve, args=(theirs, instance_ref), kwargs={"bars": bars_drawn()}, daemon=False
        )
        self._process.start()
        theirs.close()

    def give(self, order: Order) -> None:
        self.step_key, self.since, self.used = order.step_key, time.monotonic(), True
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone, which `heard` says
            self.messages.send(order)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def heard(self) -> Ended | None:
        """The end of the step, if that is what was said; a process that is gone ends it with an error."""
        try:
            message: Message = self.messages.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            self.gone, message = True, Ended((), _death(self._process.exitcode))
        if isinstance(message, Drawn):
            if message.label not in self._bars:
                self._bars[message.label] = reporter(message.label, lambda _: None)
            self._bars[message.label](message.done, message.total)
            return None
        self.step_key = ""
        self._bars.clear()
        return message

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def end(self) -> None:
        """Let it go: a free one leaves by itself, one at work is killed."""
        self.messages.close()
        if self.step_key:
            self._signal(signal.SIGKILL)
        self._process.join()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid or 0, number)


def _death(code: int | None) -> SerializableErrorInfo:
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    return SerializableErrorInfo(f"the process that executed this step {how}\n", [], "ProcessLookupError")
