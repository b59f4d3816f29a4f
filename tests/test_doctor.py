"""`influence doctor`: each problem is one line that names the place and the fix, and hides no other problem."""

from __future__ import annotations

import importlib.metadata
import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from influence_assets.doctor import examine, findings
from influence_assets.project import Project
from tests.projects import project

__all__ = ["project"]


def problems(root: Path) -> list[str]:
    return [finding.text for finding in findings(Project(root)) if not finding.good]


def edit(root: Path, file: str, **fields: object) -> None:
    path = root / "data" / file
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | fields))


def test_a_whole_project_has_no_problem(project: Path) -> None:
    assert problems(project) == []


@pytest.mark.parametrize(
    "file",
    [
        "frameworks/zodiac.yaml",
        "filters/form.yaml",
        "judges/deception.yaml",
        "prompts/features/contrast.yaml",
        "prompts/personas/judge.yaml",
        "environments/therapy_talk/family.yaml",
        "backgrounds/short_term.yaml",
        "trait_items/english/openness.yaml",
        "side_effects/english/bias.yaml",
        "neutral/english.yaml",
    ],
)
def test_a_damaged_file_is_one_line_even_where_the_study_does_not_name_it(project: Path, file: str) -> None:
    path = project / "data" / file
    path.write_text(path.read_text() + "\nno_such_field: 1\n")
    (line,) = problems(project)
    assert str(path) in line
    assert "\n" not in line
    assert ";" in line, "there is a fix"


def test_one_problem_hides_no_other(project: Path) -> None:
    (project / "data" / "judges" / "harm.yaml").write_text("about: [\n")
    edit(project, "study.yaml", roles={"generator": ["nobody"], "filter_judge": ["organism"]})
    edit(
        project, "models.yaml", models=[*models(project), {"name": "gone", "provider": "local", "model": "./no/where"}]
    )
    found = problems(project)
    for words in ("harm.yaml", "roles.generator: nobody", "no model directory"):
        assert sum(words in line for line in found) == 1, (words, found)


def test_a_role_that_a_model_may_not_play(project: Path) -> None:
    (entry,) = models(project)
    edit(project, "models.yaml", models=[entry | {"roles": ["agent", "generator", "filter_judge"]}])
    edit(project, "study.yaml", roles={"generator": ["organism"], "filter_judge": ["organism"], "veto": ["organism"]})
    (line,) = problems(project)
    assert "roles.veto" in line


def test_keys_and_folders_of_models(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    far = {"name": "far", "provider": "openai", "model": "m"}
    served = {"name": "served", "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    seen = models(project)[0] | {"name": "seen", "sae": {"directory": "no/sae"}}
    edit(project, "models.yaml", models=[*models(project), far, served, seen])
    key, folder = problems(project)
    assert "OPENAI_API_KEY" in key
    assert "no/sae" in folder
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-77")
    printed = io.StringIO()
    assert examine(Project(project), Console(file=printed, width=40)) == 2
    assert "sk-canary-77" not in printed.getvalue()
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("fix")]
    assert "no/sae" in line, "a problem stays on one line in a narrow terminal"


def test_wrong_versions_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1" if name == "duckdb" else real(name))
    assert any(line.startswith("duckdb 0.1 is installed") for line in problems(project))


def models(root: Path) -> list[dict[str, object]]:
    return list(yaml.safe_load((root / "data" / "models.yaml").read_text())["models"])
