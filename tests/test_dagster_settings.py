"""The shipped dagster.yaml: runs are bounded per provider, and a run whose process is gone is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus

from influence_assets.coordinator import ProviderQueue, account_of
from influence_assets.launcher import WatchedLauncher

TEMPLATE = Path(__file__).resolve().parents[1] / "influence_assets" / "dagster.yaml"
MODELS = """
models:
  - {name: here, provider: local, model: data/organism}
  - {name: api, provider: openai, model: some-model, api_key_env: KEY}
  - {name: claude, provider: anthropic, model: other-model}
  - {name: server, provider: openai, model: third-model, base_url: "http://127.0.0.1:8000/v1"}
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    shutil.copyfile(TEMPLATE, tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        yield found


def test_the_settings_are_ours(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, ProviderQueue)
    assert isinstance(instance.run_launcher, WatchedLauncher)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 8
    assert {limit["key"] for limit in queue.tag_concurrency_limits} == {"influence/provider"}
    assert instance.run_retries_max_retries == 2
    assert not instance.run_retries_retry_on_asset_or_op_failure


@pytest.mark.parametrize(
    ("partition", "account"),
    [
        ("here", "local"),
        ("api", "openai"),
        ("claude", "anthropic"),
        ("server", "http://127.0.0.1:8000/v1"),
        ("some framework", ""),
        ("", ""),
    ],
)
def test_who_answers_for_a_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partition: str, account: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "study.yaml").touch()
    (tmp_path / "data" / "models.yaml").write_text(MODELS)
    monkeypatch.setenv("INFLUENCE_ROOT", str(tmp_path))
    assert account_of(partition) == account
    (tmp_path / "data" / "models.yaml").write_text("models: nonsense")
    assert account_of(partition) == "", "a bad file must not keep a run from being queued"


def worked_on_by(instance: dg.DagsterInstance, pid: int | None) -> dg.DagsterRun:
    job = dg.JobDefinition(name="job", graph_def=dg.GraphDefinition(name="job", node_defs=[]))
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        instance.report_engine_event("Executing steps", run, EngineEventData.in_process(pid))
    return run


def test_a_run_whose_process_is_gone_has_failed(instance: dg.DagsterInstance) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    check = instance.run_launcher.check_run_worker_health
    assert check(worked_on_by(instance, gone.pid)).status is WorkerStatus.FAILED
    assert check(worked_on_by(instance, os.getpid())).status is WorkerStatus.RUNNING
    assert check(worked_on_by(instance, None)).status is WorkerStatus.RUNNING
