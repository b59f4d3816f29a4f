"""A small graph for tests/test_step_pool.py, and `python -m tests.pooled RESULT` to run it two steps at once.

    left, right -> both;  alone -> after_alone;  dying -> after_dying

Each step writes its name into the folder POOLED when it begins, so that a test sees what runs; `left` and `right` wait
for each other there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._utils.interrupts import capture_interrupts

from influence_assets.progress import reporter
from influence_assets.step_pool import kept_processes, steps_executor

FOLDER = Path(os.environ.get("POOLED", "."))
PATIENCE_S = 120


def begin(name: str) -> None:
    (FOLDER / name).write_text(str(os.getpid()))


def wait_for(name: str) -> int:
    """The process that began this step."""
    end = time.monotonic() + PATIENCE_S
    while not (FOLDER / name).exists() or not (FOLDER / name).read_text():
        assert time.monotonic() < end, f"{name} did not begin"
        time.sleep(0.01)
    return int((FOLDER / name).read_text())


@dg.asset
def left() -> None:
    begin("left")
    wait_for("right")
    reporter("left", lambda _: None)(3, 3)


@dg.asset
def right() -> None:
    begin("right")
    wait_for("left")


@dg.asset(deps=[left, right])
def both() -> None:
    begin("both")


@dg.asset
def alone() -> None:
    """Fails where it is told to, and takes its time where it is told to, also to end."""
    begin("alone")
    if (FOLDER / "fail").exists():
        raise ValueError("as it was told")
    if (FOLDER / "wait").exists():
        try:
            time.sleep(PATIENCE_S)
        finally:
            begin("lingering")
            time.sleep(PATIENCE_S)


@dg.asset(deps=[alone])
def after_alone() -> None:
    begin("after_alone")


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def dying() -> None:
    """Its process is killed at the first try, where it is told to."""
    tries = len(list(FOLDER.glob("dying-*")))
    begin(f"dying-{tries}")
    if (FOLDER / "die").exists() and tries == 0:
        os.kill(os.getpid(), signal.SIGKILL)


@dg.asset(deps=[dying])
def after_dying() -> None:
    begin("after_dying")


ASSETS = [left, right, both, alone, after_alone, dying, after_dying]
defs = dg.Definitions(assets=ASSETS, executor=steps_executor(1), resources={"io_manager": dg.FilesystemIOManager()})


def execute(instance: dg.DagsterInstance, assets: Sequence[dg.AssetsDefinition] = ASSETS) -> dg.JobExecutionResult:
    """A run of these assets, two at once."""
    job = ReconstructableRepository(ModuleCodePointer("tests.pooled", "defs"))
    return dg.execute_job(
        job.get_reconstructable_job("__ASSET_JOB"),
        instance=instance,
        run_config={
            "execution": {"config": {"workers": 2}},
            "loggers": {"console": {"config": {"log_level": "ERROR"}}},
        },
        asset_selection=[asset.key for asset in assets],
        raise_on_error=False,
    )


def main(result: Path) -> None:
    with dg.DagsterInstance.get() as instance, capture_interrupts(), kept_processes(instance, 2):
        done = execute(instance)
        kinds = {event.step_key: event.event_type_value for event in done.all_events if event.step_key}
        failed = {e.step_key: e.step_failure_data.error.message for e in done.all_events if e.is_step_failure}
    result.write_text(json.dumps({"success": done.success, "last": kinds, "failed": failed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
