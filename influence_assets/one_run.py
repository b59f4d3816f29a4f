"""One run from the command line: a partition, the assets to make in it, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._utils.interrupts import capture_interrupts

from influence_assets import step_pool
from resources.errors import BudgetError, InputError

_QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Part:
    """One run: a partition and the assets to materialize in it."""

    partition: str
    assets: tuple[dg.AssetKey, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one run. `error` is empty on success; `code` is the exit code that it asks for."""

    part: Part
    run_id: str
    error: str = ""
    code: int = 0


def run_part(
    definitions: dg.Definitions, instance: dg.DagsterInstance, part: Part, tags: Mapping[str, str], workers: int = 0
) -> Outcome:
    """One run, by the executor that the study names; `workers` steps at once where that is this machine."""
    if not (isinstance(definitions.executor, dg.ExecutorDefinition) and definitions.executor.name == step_pool.NAME):
        return _outcome(part, _elsewhere(instance, part, tags, _QUIET))
    if workers > 1:
        at_once = {"execution": {"config": {"workers": workers}}}
        return _outcome(part, _elsewhere(instance, part, tags, _QUIET | at_once))
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=_QUIET,
        instance=instance,
        partition_key=part.partition,
        asset_selection=list(part.assets),
        tags=dict(tags),
        raise_on_error=False,
    )
    return _outcome(part, result)


def _elsewhere(
    instance: dg.DagsterInstance, part: Part, tags: Mapping[str, str], config: Mapping[str, Any]
) -> dg.JobExecutionResult:
    """One run whose steps other processes execute; they load the project's definitions anew."""
    definitions = ReconstructableRepository(
        ModuleCodePointer("influence_assets.definitions", "defs"),
        executable_path=sys.executable,
        entry_point=[sys.executable, "-m", "dagster"],
    )
    # Ctrl-C reaches the executor, which stops the steps wherever they run.
    with capture_interrupts():
        return dg.execute_job(
            definitions.get_reconstructable_job(IMPLICIT_ASSET_JOB_NAME),
            instance=instance,
            run_config=config,
            tags={**tags, "dagster/partition": part.partition},
            asset_selection=list(part.assets),
            raise_on_error=False,
        )


def _outcome(part: Part, result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> Outcome:
    if result.success:
        return Outcome(part, result.run_id)
    for event in result.all_events:
        error = event.event_specific_data.error if event.is_step_failure else None  # type: ignore[union-attr]
        if error is not None:
            cause = error.cause or error
            code = {BudgetError.__name__: 3, InputError.__name__: 2}.get(cause.cls_name or "", 1)
            _, _, message = cause.message.strip().partition(f"{cause.cls_name}: ")
            return Outcome(part, result.run_id, f"{event.step_key}: {message or cause.message}", code)
    return Outcome(part, result.run_id, "a check failed; see the run in Dagster", 1)
