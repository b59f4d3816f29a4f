"""Fixtures: a project folder of its own for an end-to-end test, with a study small enough to run in seconds."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

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


def small_project(root: Path) -> Path:
    """A copy of `data/` as it is in git, with fewer personas and statements."""
    for name in COPIED:
        shutil.copytree(CHECKOUT / "data" / name, root / "data" / name)
    for name in ("models.yaml", "study.yaml", "aspects.yaml"):
        shutil.copyfile(CHECKOUT / "data" / name, root / "data" / name)
    study = root / "data" / "study.yaml"
    settings = yaml.safe_load(study.read_text())
    settings["personas"] |= {"per_framework": 4, "agree_per_persona": 4}
    settings["steerability"] |= {"methods": ["none", "description", "examples"], "draws": 100}
    # Training has projects of its own (tests/e2e/influence_projects.py): here the untouched model talks a little.
    few = {"states": 1, "samples": 1, "eval_states": 1, "max_turns": 1, "control": False}
    settings["influence"] |= {"iterations": 0, "rollouts": few}
    settings["features"] = FEATURES
    study.write_text(yaml.safe_dump(settings))
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project(tmp_path)


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """`small_project` after `influence demo`, its assets one after the other, run once for all processes of pytest.
    Read it, or work in a copy."""

    def make(root: Path) -> object:
        return run_in(small_project(root), "demo", "--jobs", "1")

    return once(tmp_path_factory, request, "demonstrated", make)


def once(
    factory: pytest.TempPathFactory, request: pytest.FixtureRequest, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that is made once for all processes of pytest."""
    folder = factory.getbasetemp()
    shared = folder.parent if hasattr(request.config, "workerinput") else folder
    root, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            make(root)
            done.touch()
    return root


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


def run_in(project: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The command line in that project; with `check` it must succeed."""
    done = forked.run(arguments, cwd=project, env=environment(project), timeout=240)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def influence(project: Path) -> Influence:
    """Runs the command line in the project and returns what it printed."""
    return functools.partial(run_in, project)
