"""What a study's `executor` asks of a cluster for each step, and what deploy/ says to write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler

from influence_assets import ray_steps
from influence_assets.machines import ExecutorSettings, StepResources, step_tags
from influence_assets.study import load_study
from tests.projects import CHECKOUT, COPIED

LAST = {"*": {"resources": {"replies": 0.001}, "num_cpus": 1}}


@pytest.mark.parametrize(
    ("steps", "asset", "wanted"),
    [
        ({}, "checkpoint_1", {"num_cpus": 1}),
        ({"checkpoint_*": {"num_gpus": 1}} | LAST, "checkpoint_1", {"num_gpus": 1}),
        ({"checkpoint_*": {"num_gpus": 1}} | LAST, "metrics", {"num_cpus": 1, "resources": {"replies": 0.001}}),
        (LAST | {"checkpoint_*": {"num_gpus": 1}}, "checkpoint_1", {"num_cpus": 1, "resources": {"replies": 0.001}}),
        ({"sae": {"memory": 2_000_000_000}}, "sae_quality", {"num_cpus": 1}),
    ],
)
def test_the_first_pattern_that_fits(steps: dict[str, StepResources], asset: str, wanted: dict[str, object]) -> None:
    settings = ExecutorSettings.model_validate({"kind": "ray", "steps": steps})
    assert json.loads(step_tags(settings, asset)["dagster-ray/config"]) == wanted
    assert step_tags(settings.model_copy(update={"kind": "in_process"}), asset) == {}


def test_the_lines_of_the_walk_through_are_a_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text((CHECKOUT / "data/study.yaml").read_text() + (CHECKOUT / "deploy/machines.yaml").read_text())
    study = load_study(path)
    kinds = (study.storage.kind, study.replies.kind, study.records.kind, study.executor.kind)
    assert kinds == ("ducklake", "postgres", "postgres", "ray")
    without: dict[str, None] = dict.fromkeys(("storage", "replies", "records", "executor"))
    plain = load_study(CHECKOUT / "data/study.yaml")
    assert study.model_copy(update=without) == plain.model_copy(update=without)


def test_the_graph_of_a_cluster_loads_without_ray_and_without_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for path in (CHECKOUT / "data").iterdir():
        if path.name in (*COPIED, "models.yaml", "aspects.yaml"):
            (tmp_path / "data" / path.name).symlink_to(path)
    study = yaml.safe_load((CHECKOUT / "data/study.yaml").read_text())
    steps = {"checkpoint_*": {"num_gpus": 1}}
    (tmp_path / "data" / "study.yaml").write_text(json.dumps(study | {"executor": {"kind": "ray", "steps": steps}}))
    look = """
import sys
from influence_assets.definitions import defs
job = defs.resolve_implicit_global_asset_job_def()
print(job.executor_def.name, job.get_node_named("influence__checkpoint_1").definition.tags["dagster-ray/config"])
print([name for name in ("ray", "dagster_ray", "torch", "psycopg2") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", look],
        env=os.environ | {"INFLUENCE_ROOT": str(tmp_path)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['ray {"num_gpus": 1.0}', "[]"]


class _Cluster(StepHandler):
    """A cluster that answers as long as it is `there`."""

    there, name = True, "cluster"

    def launch_step(self, step_handler_context):
        raise NotImplementedError

    def terminate_step(self, step_handler_context):
        raise NotImplementedError

    def check_step_health(self, step_handler_context):  # noqa: ARG002
        if not self.there:
            raise ConnectionError("refused")
        return CheckStepHealthResult.healthy()


def test_a_cluster_that_is_gone_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(ray_steps.time, "monotonic", lambda: now[0])
    cluster = _Cluster()
    bounded = ray_steps._Bounded(cluster)

    def healthy(after_s: float, there: bool) -> bool:
        now[0] += after_s
        cluster.there = there
        return bounded.check_step_health(None).is_healthy  # type: ignore[arg-type]

    assert [healthy(5, True), healthy(5, False), healthy(ray_steps.SILENT_S - 1, False)] == [True] * 3
    assert healthy(1, True), "it was back in time"
    assert healthy(5, False)
    assert not healthy(ray_steps.SILENT_S, False)
