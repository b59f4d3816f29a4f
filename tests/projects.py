"""Fixtures: a project folder of its own for an end-to-end test, with a study small enough to run in seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests import forked

CHECKOUT = Path(__file__).resolve().parents[1]

COPIED = (
    *("frameworks", "environments", "judges", "prompts", "filters", "organism"),
    *("backgrounds", "trait_items", "side_effects", "neutral"),
)
FEATURES = {
    "backgrounds": ["organism"],
    "trait_items": ["organism"],
    "side_effects": [],
    "layers": [1],
    "layer": 1,
    "directions": ["difference_in_means"],
    "steering": {
        "factors": ["agreeableness"],
        "coefficients": [-0.3, 0, 0.3],
        "items": 2,
        "neutral": "organism",
        "written": 1,
        "written_tokens": 4,
    },
    "draws": 100,
}
"""A few seconds of the features family; tests/e2e/test_features.py has a project of its own, with an SAE and all."""

Influence = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of `data/` as it is in git, with fewer personas and statements."""
    for name in COPIED:
        shutil.copytree(CHECKOUT / "data" / name, tmp_path / "data" / name)
    for name in ("models.yaml", "study.yaml", "aspects.yaml"):
        shutil.copyfile(CHECKOUT / "data" / name, tmp_path / "data" / name)
    study = tmp_path / "data" / "study.yaml"
    settings = yaml.safe_load(study.read_text())
    settings["personas"] |= {"per_framework": 4, "agree_per_persona": 4}
    settings["steerability"] |= {"methods": ["none", "description", "examples"], "draws": 100}
    # Training has projects of its own (tests/e2e/influence_projects.py): here the untouched model talks a little.
    few = {"states": 1, "samples": 1, "eval_states": 1, "max_turns": 1, "control": False}
    settings["influence"] |= {"iterations": 0, "rollouts": few}
    settings["features"] = FEATURES
    study.write_text(yaml.safe_dump(settings))
    return tmp_path


def environment(project: Path) -> dict[str, str]:
    """What a command in that project sees: its own root and Dagster home, one thread, no keys."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {
        "INFLUENCE_ROOT": str(project),
        "DAGSTER_HOME": str(project / ".dagster"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "160",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "influence_assets.cli", *arguments]


@pytest.fixture
def influence(project: Path) -> Influence:
    """Runs the command line in the project and returns what it printed."""

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = forked.run(arguments, cwd=project, env=environment(project), timeout=240)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
