"""Runs as processes of this machine, of which it is known whether they still live.

Dagster's own launcher starts them and then trusts them: a run whose process was killed, or lost its machine, would be
called running for ever, keep its place in the queue, and hold up its backfill. Here run monitoring asks; a run whose
process is gone has failed, and `run_retries` in `dagster.yaml` starts it again. What it had paid for is in the cache.
"""

from __future__ import annotations

import os

from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus


class WatchedLauncher(DefaultRunLauncher):
    """Dagster's launcher of processes, with an answer to whether a run's process is alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Alive as long as the process is that last said it was working on the run."""
        pid = self._last_process(run.run_id)
        if pid is None or _lives(pid):  # one that has said nothing has just begun
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"the process {pid} that worked on this run is gone")

    def _last_process(self, run_id: str) -> int | None:
        found = None
        for entry in self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
            metadata = entry.dagster_event.engine_event_data.metadata if entry.dagster_event else {}
            if "pid" in metadata:
                found = int(str(metadata["pid"].value))
        return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and somebody else's
        return True
    return True
