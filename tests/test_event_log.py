"""Runs of the command line write Dagster's event log through kept connections; the UI reads what they wrote."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.instance.ref import InstanceRef

from influence_assets.event_log import KEPT, KeptEventLog, kept
from influence_assets.runs import quiet_instance


@dg.asset(check_specs=[dg.AssetCheckSpec("positive", asset="number")])
def number() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the annotation
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


JOB = dg.Definitions(assets=[number], jobs=[dg.define_asset_job("one", [number])]).resolve_job_def("one")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return tmp_path


def ran(instance: dg.DagsterInstance) -> str:
    return JOB.execute_in_process(instance=instance).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [str(entry.dagster_event_type) for entry in instance.all_logs(run_id)]


def open_files(folder: Path) -> set[str]:
    return {one.path for one in psutil.Process().open_files() if Path(one.path).is_relative_to(folder)}


def test_dagsters_own_class_reads_the_same(home: Path) -> None:
    with quiet_instance(home) as instance:
        assert isinstance(instance.event_log_storage, KeptEventLog)
        ours = ran(instance)
        while_open = told(instance, ours)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not isinstance(instance.event_log_storage, KeptEventLog)
        theirs = ran(instance)
        assert told(instance, theirs) == told(instance, ours) == while_open
        assert {"DagsterEventType.ASSET_MATERIALIZATION", "DagsterEventType.ASSET_CHECK_EVALUATION"} <= set(while_open)
        assert instance.get_latest_materialization_event(dg.AssetKey("number")).run_id == theirs
    with quiet_instance(home) as instance:
        assert told(instance, theirs)
        assert instance.get_latest_materialization_event(dg.AssetKey("number")).run_id == theirs


def test_two_write_at_once(home: Path) -> None:
    """A command and the UI: neither waits for what the other holds open."""
    with quiet_instance(home) as one, dg.DagsterInstance.from_config(str(home)) as other:
        runs = [ran(instance) for instance in (one, other, one, other)]
        for instance in (one, other):
            assert len({len(told(instance, run)) for run in runs[::2]}) == 1
            assert instance.get_latest_materialization_event(dg.AssetKey("number")).run_id == runs[-1]


def test_few_files_stay_open_and_none_in_the_end(home: Path) -> None:
    history = home.resolve() / "history" / "runs"
    with quiet_instance(home) as instance:
        for _ in range(KEPT + 3):
            ran(instance)
        databases = {path for path in open_files(history) if path.endswith(".db")}
        assert 1 <= len(databases) <= KEPT
    assert not open_files(history)


def test_records_in_postgres_stay_there(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_url: postgresql://nobody@127.0.0.1:1/none}}\n"
    )
    ref = InstanceRef.from_dir(str(tmp_path))
    assert kept(ref) == ref
