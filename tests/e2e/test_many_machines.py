"""A study that was begun on one machine's files goes on over Ray, Postgres and DuckLake, and comes back, by editing
`data/study.yaml` alone: nothing is computed twice, and the tables are those of a study that never moved."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tests.e2e.influence_projects import CHECKOUT, ORGANISM, again, build, influence, rows, write_yaml
from tests.projects import environment
from tests.scale import LONG
from tests.servers.postgres import Postgres

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra [cluster] is not installed: pip install -e '.[cluster]'", allow_module_level=True)

from tests.servers.ray_cluster import RayCluster

LAKE, RECORDS = "INFLUENCE_TEST_CATALOGUE", "INFLUENCE_TEST_RECORDS"
PLAIN: dict[str, Any] = {"storage": "files", "records": "sqlite", "executor": "in_process"}
FIRST = ("initial_states", "checkpoint_0", "rollout_batches_0")
THEN = ("preference_scores_0", "training_set_0")
LAST = ("checkpoint_1", "rollout_batches_1", "preference_scores_1", "rejudgements_0", "rejudgements_1")
VERSIONS = """SELECT table_name, CAST(partition AS VARCHAR), data_version FROM _catalog.files
              WHERE table_name NOT LIKE 'ledger.%' ORDER BY ALL"""


@pytest.fixture
def keys(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The URLs, which are in the environment alone."""
    found = {LAKE: postgres.database(), RECORDS: postgres.database().replace("postgresql:", "postgresql+psycopg2:")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def cluster(tmp_path: Path, keys: Mapping[str, str]) -> Iterator[RayCluster]:
    found = RayCluster(environment(tmp_path / "unused") | {"PYTHONPATH": str(CHECKOUT)} | dict(keys))
    try:
        for name in ("one", "two") if LONG else ("one",):
            found.start(name)
        yield found
    finally:
        found.close()


def machines(project: Path, settings: Mapping[str, Any]) -> None:
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    write_yaml(project / "data" / "study.yaml", study | dict(settings))


def run(project: Path, assets: tuple[str, ...], keys: Mapping[str, str]) -> str:
    selection = " or ".join(f'key:"influence/{asset}"' for asset in assets)
    return influence(project, "run", selection, keys=keys, timeout=900).stderr


def made(project: Path) -> dict[str, int]:
    """How often each asset was computed, not reused."""
    query = "SELECT asset, count(DISTINCT run_id) FROM ledger.materializations WHERE NOT reused GROUP BY 1"
    return dict(rows(project, query))


@pytest.mark.timeout(1800)
def test_there_and_back_by_the_study_alone(cluster: RayCluster, keys: Mapping[str, str], tmp_path: Path) -> None:
    project = build(tmp_path / "moving", {"m": ORGANISM | {"trainable": True}}, {"iterations": 1})
    last = LAST if LONG else LAST[:1]
    run(project, FIRST, keys)
    staying = again(project, tmp_path / "staying")
    run(staying, THEN + last, keys)

    machines(
        project,
        {
            "storage": {"kind": "ducklake", "catalogue_env": LAKE},
            "records": {"kind": "postgres", "url_env": RECORDS},
            "executor": {"kind": "ray", "address": cluster.address},
        },
    )
    said = run(project, FIRST + THEN, keys)
    assert "brought over from files to DuckLake (data/lake)" in " ".join(said.split())
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        (of_model, of_family) = instance.get_runs()
        logs = [entry.dagster_event for entry in instance.all_logs(of_model.run_id) if entry.dagster_event]
    assert {of_family.status.value, of_model.status.value} == {"SUCCESS"}
    assert sum(event.event_type_value == "STEP_WORKER_STARTING" for event in logs) == len(FIRST + THEN) - 1
    shown = influence(project, "sql", "SELECT count(*) AS n FROM selections", keys=keys).stdout
    assert shown == influence(staying, "sql", "SELECT count(*) AS n FROM selections").stdout
    then = influence(
        project, "sql", "--as-of", of_family.run_id[:13], "SELECT count(*) AS n FROM selections", keys=keys
    )
    assert "│ 0 │" in then.stdout, "that run had ended before anything was selected"

    machines(project, PLAIN)
    said = run(project, FIRST + THEN + last, keys)
    assert "brought over from DuckLake (data/lake) to files" in " ".join(said.split())
    assert rows(project, VERSIONS) == rows(staying, VERSIONS)
    assert set(made(project).values()) == {1}, "nothing is computed twice"
    assert set(made(project)) == set(FIRST + THEN + last)
    paid = "SELECT request_id FROM ledger.requests WHERE NOT cached GROUP BY 1 HAVING count(*) > 1"
    assert rows(project, paid) == []
    secrets = [value.encode() for value in keys.values()]
    files = [path for path in project.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []
