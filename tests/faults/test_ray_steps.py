"""Rollouts and training as steps on a local Ray cluster of two workers, one of which is lost in the middle.

The lost step is tried again on the other worker; the tables are those of a run in one process, and no question was paid
twice. Half the models live in the cluster's processes, half behind a server that speaks vLLM's protocol.
"""

from __future__ import annotations

import importlib.util
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml

from tests.e2e.influence_projects import (
    CHECKOUT,
    ORGANISM,
    again,
    build,
    influence,
    landed,
    rows,
    write_yaml,
)
from tests.e2e.influence_provider import chat
from tests.projects import command, environment
from tests.scale import LONG, scaled
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra [cluster] is not installed: pip install -e '.[cluster]'", allow_module_level=True)

from tests.servers.ray_cluster import RayCluster

PAIRS = scaled(1, 2)
"""Of each kind of model."""

PATIENCE_S = 240


def vllm(asked: Asked) -> Answer:
    """Chats, and takes adapters by path as vLLM does."""
    if asked.path.endswith("_lora_adapter"):
        return Answer(b"done", content_type="text/plain")
    return chat(asked)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RayCluster]:
    found = RayCluster(environment(tmp_path / "unused") | {"PYTHONPATH": str(CHECKOUT)})
    for name in ("one", "two"):
        found.start(name)
    yield found
    found.close()


def entries(server: ScriptedServer) -> dict[str, dict[str, Any]]:
    behind = {"provider": "openai", "model": "x", "base_url": f"{server.url}/v1", "max_concurrency": 4}
    trained_here = {"trainable": {"weights": "data/organism"}}
    inside = {f"inside-{n}": ORGANISM | {"trainable": True} for n in range(PAIRS)}
    return inside | {f"served-{n}": behind | trained_here for n in range(PAIRS)}


def executor(project: Path, settings: object) -> None:
    """Change who runs the steps, and nothing else."""
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    write_yaml(project / "data" / "study.yaml", study | {"executor": settings})


def on_ray(cluster: RayCluster) -> dict[str, object]:
    return {"kind": "ray", "address": cluster.address, "retries": 2, "steps": {"checkpoint_*": {"num_cpus": 1}}}


def start(project: Path) -> subprocess.Popen[str]:
    """All models through one round of the loop, each model's steps one after the other."""
    steps = ("rollout_batches_0", "preference_scores_0", "training_set_0", "checkpoint_1")
    selection = " or ".join(f'key:"influence/{asset}"' for asset in steps)
    with (project / "run.log").open("a") as log:
        return subprocess.Popen(
            command("run", selection, "--jobs", str(2 * PAIRS)),
            cwd=project,
            env=environment(project),
            stdout=log,
            stderr=log,
            text=True,
        )


def lose_worker(cluster: RayCluster, run: subprocess.Popen[str], working: Callable[[psutil.Process], bool]) -> str:
    """Kill the first node on which a process is seen that is `working`; its name."""
    end = time.monotonic() + PATIENCE_S
    while True:
        assert run.poll() is None
        assert time.monotonic() < end, cluster.said()
        for name in ("one", "two"):
            for process in cluster.processes(name):
                try:
                    found = working(process)
                except psutil.Error:
                    continue
                if found:
                    cluster.kill(name)
                    return name
        time.sleep(0.05)


def trains(process: psutil.Process) -> bool:
    return "training.worker" in " ".join(process.cmdline())


def rolls_out(process: psutil.Process) -> bool:
    step = process.environ().get("DAGSTER_RUN_STEP_KEY", "")
    return (
        "rollout_batches_0" in step
        and bool(process.net_connections())
        and "execute_step" in " ".join(process.cmdline())
    )


def events(project: Path, kind: str) -> list[str]:
    """The step of every event of a kind, over all runs."""
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        logs = [entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
    found = [entry.dagster_event for entry in logs if entry.dagster_event]
    return [str(event.step_key) for event in found if event.event_type_value == kind]


@pytest.mark.timeout(900)
def test_a_lost_worker_costs_time_alone(
    cluster: RayCluster, scripted_server: Callable[[Script], ScriptedServer], tmp_path: Path
) -> None:
    server = scripted_server(vllm)
    here = build(tmp_path / "here", entries(server), {"iterations": 1})
    influence(here, "run", 'key:"influence/initial_states" or key:"influence/checkpoint_0"')
    project = again(here, tmp_path / "ray")
    assert start(here).wait(timeout=PATIENCE_S) == 0, (here / "run.log").read_text()
    questions = len(server.calls)

    executor(project, on_ray(cluster))
    run = start(project)
    lost = []
    if LONG:
        lost.append(lose_worker(cluster, run, rolls_out))
        cluster.start(lost[0])
    lost.append(lose_worker(cluster, run, trains))
    assert run.wait(timeout=PATIENCE_S) == 0, (project / "run.log").read_text() + cluster.said()

    assert landed(project) == landed(here)
    assert len(events(project, "STEP_UP_FOR_RETRY")) == len(lost)
    assert events(project, "STEP_FAILURE") == []
    # Two models that ask the same at the same moment, in two processes, both pay; nobody pays for a lost step again.
    again_by_one = (
        "SELECT request_id FROM ledger.requests WHERE NOT cached GROUP BY request_id, partition HAVING count(*) > 1"
    )
    assert rows(project, again_by_one) == []
    same = "SELECT model, adapter_sha256 FROM checkpoints WHERE iteration = 1 ORDER BY 1"
    assert rows(project, same) == rows(here, same)
    assert len(rows(project, same)) == 2 * PAIRS
    asked = len(server.calls) - questions
    assert asked <= questions + 4 * len(lost), "what was in flight when a worker was lost, and no more"


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    project = build(tmp_path, {"m": ORGANISM}, {"iterations": 0})
    executor(project, {"kind": "ray", "address": "http://127.0.0.1:9"})
    done = influence(project, "run", "checkpoint_0", check=False)
    said = " ".join(done.stderr.split())
    assert "executor.address: no Ray cluster answers" in said
    assert "Traceback" not in said
    assert done.returncode == 2
