"""A study that was begun on one machine's files goes on over Ray, Postgres and DuckLake, loses a worker there, and
comes back, by editing `data/study.yaml` alone: nothing is computed or paid twice, and the tables are those of a study
that never moved.

The short form has one model; the long one four, half of them behind a server that speaks vLLM's protocol, and loses a
worker in the rollouts as well.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml

from tests.e2e.influence_projects import CHECKOUT, ORGANISM, again, build, influence, rows, write_yaml
from tests.e2e.influence_provider import chat
from tests.projects import command, environment
from tests.scale import LONG, scaled
from tests.servers.postgres import Postgres
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra [cluster] is not installed: pip install -e '.[cluster]'", allow_module_level=True)

import psycopg2

from tests.servers.ray_cluster import RayCluster

LAKE, REPLIES, RECORDS = "INFLUENCE_TEST_CATALOGUE", "INFLUENCE_TEST_REPLIES", "INFLUENCE_TEST_RECORDS"
PLAIN: dict[str, Any] = {"storage": "files", "replies": "sqlite", "records": "sqlite", "executor": "in_process"}
MODELS = scaled(1, 4)
LOOP = ("initial_states", "checkpoint_0", "rollout_batches_0", "preference_scores_0", "training_set_0", "checkpoint_1")
ALONE = scaled(5, 2)
"""So many steps of the loop run on one machine; those after them on the cluster, where each is a job of its own."""
FIRST, THERE = LOOP[:ALONE], (*LOOP[ALONE:], "rollout_batches_1")
BACK = ("rejudgements_0", "preference_scores_1", "rejudgements_1", "influence_metrics")
PATIENCE_S = scaled(240, 900)
VERSIONS = """SELECT table_name, CAST(partition AS VARCHAR), data_version FROM _catalog.files
              WHERE table_name NOT LIKE 'ledger.%' ORDER BY ALL"""

Working = Callable[[psutil.Process], bool]


@pytest.fixture
def keys(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The URLs, which are in the environment alone. The replies lie in the database of the lake."""
    records = postgres.database().replace("postgresql:", "postgresql+psycopg2:")
    found = dict.fromkeys((LAKE, REPLIES), postgres.database()) | {RECORDS: records}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def cluster(tmp_path: Path, keys: Mapping[str, str]) -> Iterator[RayCluster]:
    found = RayCluster(environment(tmp_path / "unused") | {"PYTHONPATH": str(CHECKOUT)} | dict(keys))
    try:
        found.start("one")
        found.start("two")
        yield found
    finally:
        found.close()


def vllm(asked: Asked) -> Answer:
    """Chats, and takes adapters by path as vLLM does."""
    if asked.path.endswith("_lora_adapter"):
        return Answer(b"done", content_type="text/plain")
    return chat(asked)


def models(server: ScriptedServer) -> dict[str, dict[str, Any]]:
    inside = ORGANISM | {"trainable": True}
    served = {
        "provider": "openai",
        "model": "x",
        "base_url": f"{server.url}/v1",
        "max_concurrency": 4,
        "trainable": {"weights": "data/organism"},
    }
    return {("expert", "m1", "m2", "m3")[number]: (inside, served)[number % 2] for number in range(MODELS)}


def edit(project: Path, settings: Mapping[str, Any]) -> None:
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    write_yaml(project / "data" / "study.yaml", study | dict(settings))


def arguments(assets: tuple[str, ...]) -> list[str]:
    return ["run", " or ".join(f'key:"influence/{asset}"' for asset in assets), "--jobs", str(MODELS)]


def run(project: Path, assets: tuple[str, ...], keys: Mapping[str, str]) -> str:
    """What the command says, on one line."""
    return " ".join(influence(project, *arguments(assets), keys=keys, timeout=PATIENCE_S).stderr.split())


def run_and_lose(project: Path, keys: Mapping[str, str], cluster: RayCluster) -> tuple[str, int]:
    """The steps on the cluster, which loses a worker; what the command says, and how many were lost."""
    log = project / "run.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command(*arguments(THERE)),
            cwd=project,
            env=environment(project) | dict(keys),
            stdout=out,
            stderr=out,
        )
    if LONG:
        cluster.start(lose_worker(cluster, process, log, rolls_out))
    lose_worker(cluster, process, log, trains)
    assert process.wait(timeout=PATIENCE_S) == 0, log.read_text() + cluster.said()
    return " ".join(log.read_text().split()), 1 + LONG


def lose_worker(cluster: RayCluster, process: subprocess.Popen[bytes], log: Path, working: Working) -> str:
    """Kill the first node on which something is seen that is `working`, with all that it runs; the node's name."""
    end = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text() + cluster.said()
        for name in ("one", "two"):
            for seen in cluster.processes(name):
                try:
                    found = working(seen)
                except psutil.Error:  # it has just ended
                    continue
                if found:
                    cluster.kill(name)
                    return name
        time.sleep(0.05)


def trains(process: psutil.Process) -> bool:
    return "training.worker" in " ".join(process.cmdline())


def rolls_out(process: psutil.Process) -> bool:
    """A rollout step, once answers in rollouts are being written."""
    if "rollout_batches_0" not in process.environ().get("DAGSTER_RUN_STEP_KEY", ""):
        return False
    with psycopg2.connect(os.environ[REPLIES]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('influence_replies.ledger') IS NOT NULL")
        if not cursor.fetchall()[0][0]:  # nobody has asked anything yet
            return False
        cursor.execute(
            "SELECT count(*) FROM influence_replies.ledger l JOIN influence_replies.sessions s ON s.id = l.session"
            " WHERE s.asset = 'rollout_batches_0'"
        )
        return bool(cursor.fetchall()[0][0])


def steps(project: Path, kind: str) -> list[str]:
    """The step of every event of a kind, over all runs that Dagster's records hold."""
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        logs = [entry for one in instance.get_runs() for entry in instance.all_logs(one.run_id)]
    found = [entry.dagster_event for entry in logs if entry.dagster_event]
    return [str(event.step_key).removeprefix("influence__") for event in found if event.event_type_value == kind]


def first_run(project: Path) -> str:
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        return instance.get_runs()[-1].run_id


def made(project: Path) -> dict[tuple[str, str], int]:
    """How often each asset's partition was computed, not reused."""
    query = "SELECT asset, partition, count(DISTINCT run_id) FROM ledger.materializations WHERE NOT reused GROUP BY ALL"
    return {(asset, partition): times for asset, partition, times in rows(project, query)}


@pytest.mark.timeout(3600)
def test_there_and_back_by_the_study_alone(
    cluster: RayCluster,
    keys: Mapping[str, str],
    scripted_server: Callable[[Script], ScriptedServer],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    project = build(tmp_path / "moving", models(scripted_server(vllm)))
    run(project, FIRST, keys)
    if LONG:
        staying = again(project, tmp_path / "staying")
        run(staying, THERE + BACK, keys)
    else:
        staying = request.getfixturevalue("trained")

    edit(
        project,
        {
            "storage": {"kind": "ducklake", "catalogue_env": LAKE},
            "replies": {"kind": "postgres", "url_env": REPLIES},
            "records": {"kind": "postgres", "url_env": RECORDS},
            "executor": {"kind": "ray", "address": cluster.address},
        },
    )
    said, lost = run_and_lose(project, keys, cluster)
    assert "brought over from files to DuckLake (data/lake)" in said
    assert len(steps(project, "STEP_UP_FOR_RETRY")) >= lost
    assert steps(project, "STEP_FAILURE") == []
    assert len(steps(project, "STEP_SUCCESS")) == MODELS * len(THERE)
    count = "SELECT count(*) AS n FROM checkpoints WHERE iteration = 1"
    shown = influence(project, "sql", count, keys=keys).stdout
    assert shown == influence(staying, "sql", count).stdout
    assert shown == influence(project, "sql", "--as-of", first_run(project)[:13], count, keys=keys).stdout

    edit(project, PLAIN)
    said = run(project, FIRST + THERE + BACK, keys)
    assert "brought over from DuckLake (data/lake) to files" in said
    assert "rows of the ledger brought over from postgres to sqlite" in said
    assert rows(project, VERSIONS) == rows(staying, VERSIONS)
    assert made(project) == made(staying), "nothing is computed twice"
    # Two models that ask the same at the same moment, in two processes, both pay; nobody pays for a lost step again.
    paid = "SELECT request_id FROM ledger.requests WHERE NOT cached GROUP BY request_id, partition HAVING count(*) > 1"
    assert rows(project, paid) == []
    adapters = "SELECT model, adapter_sha256 FROM checkpoints WHERE iteration = 1 ORDER BY 1"
    assert len(rows(project, adapters)) == MODELS
    secrets = [value.encode() for value in keys.values()]
    files = [path for path in project.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    project = build(tmp_path, {"m": ORGANISM}, {"iterations": 0})
    edit(project, {"executor": {"kind": "ray", "address": "http://127.0.0.1:9"}})
    done = influence(project, "run", "checkpoint_0", check=False)
    said = " ".join(done.stderr.split())
    assert "executor.address: no Ray cluster answers" in said
    assert "Traceback" not in said
    assert done.returncode == 2
