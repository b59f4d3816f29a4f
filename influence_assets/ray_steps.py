"""Steps on a Ray cluster: each is a job there, a process of its own, with the cores and GPUs that the study gives it.

dagster-ray submits and watches the jobs. What is added: a step whose worker was lost is tried again, as often as the
study says, while a step that failed by itself (a budget, a bad file) stays failed and is left to a person. What a lost
step had paid for is in the reply cache, so the next try asks only for the rest. And a run whose cluster is gone as a
whole ends, instead of waiting for it for ever.

Each machine of the cluster needs this package, the project under the same path, and in the environment of its Ray
process whatever keys and URLs the study names: they are not sent along, since Ray shows a job's environment to all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.objects import StepRetryData
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

from influence_assets.machines import ExecutorSettings
from influence_assets.project import Project
from resources.errors import InputError

if TYPE_CHECKING:
    from dagster._core.execution.context.system import IStepContext
    from dagster._core.execution.plan.state import KnownExecutionState
    from dagster._core.executor.base import Executor
    from dagster_shared.error import SerializableErrorInfo
    from ray.job_submission import JobSubmissionClient

HEALTH_EVERY_S = 5
SILENT_S = 120.0
"""A cluster that has not answered for so long is gone."""


def ray_executor(project: Project) -> dg.ExecutorDefinition:
    """The executor of this study's cluster; it is connected to when a run begins."""

    @dg.executor(name="ray", requirements=multiple_process_executor_requirements())
    def ray(_context: dg.InitExecutorContext) -> Executor:
        from dagster_ray.core.executor import RayStepHandler

        settings = project.study.executor
        handler = RayStepHandler(
            client=connect(settings),
            env_vars=[f"{name}={value}" for name, value in _environment(project).items()],
            runtime_env=None,
            num_cpus=None,
            num_gpus=None,
            memory=None,
            resources=None,
        )
        return _LostStepsAgain(_Bounded(handler), settings.retries)

    return ray


def connect(settings: ExecutorSettings) -> JobSubmissionClient:
    """A client of the cluster's job server; an `InputError` where there is none."""
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise InputError(
            "steps on a cluster need Ray",
            place="data/study.yaml",
            field="executor",
            value="ray",
            fix="pip install -c constraints.txt '.[cluster]', here and on every machine of the cluster",
        ) from None
    address = settings.address or os.environ.get("RAY_ADDRESS") or "http://127.0.0.1:8265"
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise InputError(
            f"no Ray cluster answers ({str(error).splitlines()[0]})",
            place="data/study.yaml",
            field="executor.address",
            value=address,
            fix="start one (docs/cluster.md), or name its job server",
        ) from None


def _environment(project: Project) -> Mapping[str, str]:
    """What a step must know beside the arguments that Dagster gives it."""
    return {
        "INFLUENCE_ROOT": str(project.root),
        "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(project.home)),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


class _Bounded(StepHandler):
    """A step handler that calls a step lost when its cluster has not answered for a while."""

    def __init__(self, handler: StepHandler) -> None:
        self._handler = handler
        self._silent_since: float | None = None

    @property
    def name(self) -> str:
        return self._handler.name

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        return self._handler.launch_step(step_handler_context)

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        return self._handler.terminate_step(step_handler_context)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        try:
            found = self._handler.check_step_health(step_handler_context)
        except OSError as error:  # what the client raises when it cannot reach the job server
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            if now - self._silent_since < SILENT_S:
                return CheckStepHealthResult.healthy()
            return CheckStepHealthResult.unhealthy(f"the cluster has not answered for {SILENT_S:g} s ({error})")
        self._silent_since = None
        return found


class _LostStepsAgain(StepDelegatingExecutor):
    """Dagster's executor of steps elsewhere, in which losing the worker is no failure of the step."""

    def __init__(self, handler: StepHandler, lost_at_most: int) -> None:
        super().__init__(
            handler,
            retries=RetryMode.ENABLED,
            check_step_health_interval_seconds=HEALTH_EVERY_S,
            should_verify_step=True,
        )
        self._lost_at_most = lost_at_most

    def log_failure_or_retry_event_after_error(
        self, step_context: IStepContext, err_info: SerializableErrorInfo, known_state: KnownExecutionState
    ) -> DagsterEvent:
        """Called where a step's health check failed: its own errors come as events of the step."""
        lost = known_state.get_retry_state().get_attempt_count(step_context.step.key)
        if lost < self._lost_at_most:
            again = StepRetryData(error=err_info, seconds_to_wait=None)  # type: ignore[no-untyped-call]
            return DagsterEvent.step_retry_event(step_context, again)
        return super().log_failure_or_retry_event_after_error(step_context, err_info, known_state)
