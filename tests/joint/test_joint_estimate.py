"""What the probes would ask, before anything is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from influence_assets.estimate_joint import plan_joint
from influence_assets.joint.smaller_design import smaller_design
from influence_assets.project import Project
from influence_assets.steerability.respond import count_requests
from tests.steerability.steering_world import frames

DATA = Path(__file__).parents[2] / "data"
PROBES = ["checkpoint_probes_0", "checkpoint_probes_1"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name in ("prompts", "trait_items"):
        shutil.copytree(DATA / name, tmp_path / "data" / name)
    shutil.copyfile(DATA / "study.yaml", tmp_path / "data" / "study.yaml")
    entry = {"provider": "local", "model": "data/organism"}
    models = [{"name": "fixed", **entry}, {"name": "learner", "trainable": True, **entry}]
    (tmp_path / "data" / "models.yaml").write_text(yaml.safe_dump({"models": models}))
    return Project(tmp_path)


def test_every_checkpoint_is_planned_alike_and_those_to_come_have_answered_nothing(project: Project) -> None:
    personas, statements = frames()
    plans = plan_joint(project, PROBES, ["learner"], personas, statements)
    assert set(plans) == set(PROBES)
    now, later = ([plan.request for plan in plans[name]] for name in PROBES)
    assert [request.messages for request in now] == [request.messages for request in later]
    assert {request.sample for request in now} == {0}
    assert 0 not in {request.sample for request in later}
    design = smaller_design(personas, statements, project.study, project.prompts / "steerability")
    items = sum(plan.options == ("A", "B", "C", "D") for plan in plans[PROBES[0]])
    assert items == 8 * (project.study.joint.items or 0) * 4, "traits, items, orders"
    # Personas of equal description share questions, which the count cannot know.
    assert 0 < len(now) - items <= count_requests(design)


def test_a_model_that_is_not_trained_is_asked_once_and_unselected_probes_not_at_all(project: Project) -> None:
    assert set(plan_joint(project, PROBES, ["fixed"], *frames())) == {"checkpoint_probes_0"}
    assert plan_joint(project, ["drift"], ["learner"], *frames()) == {}
