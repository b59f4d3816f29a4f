"""The hostile names, and a project whose frameworks, environments and models are called by them."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from resources.keys import key_problem
from tests.influence.environment_files import FAMILY, RUBRICS, VULNERABLE, state_line, write_states
from tests.projects import CHECKOUT


def _names() -> list[str]:
    listed = yaml.safe_load((Path(__file__).parent / "names.yaml").read_text(encoding="utf-8"))
    # A name can be half a character where nobody wrote it down: YAML cannot hold that.
    return [*listed["names"], *(one["name"] * one["times"] for one in listed["repeat"]), "\ud800", "a\udfffb"]


NAMES = _names()
WHOLE = [name for name in NAMES if not any(0xD800 <= ord(char) <= 0xDFFF for char in name)]
"""Those with a UTF-8 form."""
KEYS = [name for name in NAMES if key_problem(name) is None]
"""Those that a partition can have."""


class _Plain(yaml.SafeDumper):
    """Without aliases, which our files do not allow."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def as_yaml(content: object) -> str:
    """Every character that YAML does not take as it is stands escaped. (JSON would not do: its pairs of surrogates are
    no YAML.)"""
    return yaml.dump(content, Dumper=_Plain, sort_keys=False)


def is_file_name(name: str) -> bool:
    """Whether a file of this name with a suffix of some letters can lie in a folder, and is not hidden there."""
    return not (set("/\0") & set(name)) and not name.startswith(".") and len(name.encode("utf-8", "replace")) < 230


def build(root: Path, names: list[str], models: list[str]) -> Path:
    """A project in which frameworks, families and environments have these names, and models those."""
    data = root / "data"
    for name in ("judges", "prompts", "filters"):
        shutil.copytree(CHECKOUT / "data" / name, data / name)
    shutil.copyfile(CHECKOUT / "data" / "aspects.yaml", data / "aspects.yaml")
    (data / "frameworks").mkdir()
    for number, name in enumerate(names):
        personas = [{"name": f"{name}{end}", "description": name} for end in ("", "2")]
        framework = {"name": f"F{number}", "about": "names", "personas": personas}
        (data / "frameworks" / f"{name}.yaml").write_text(as_yaml(framework))
        write_family(data / "environments" / name, [f"{number}{name}"])
    entries = [
        {"name": name, "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"} for name in models
    ]
    (data / "models.yaml").write_text(as_yaml({"models": entries}))
    study = {
        "name": "names",
        "roles": dict.fromkeys(("generator", "filter_judge"), models[:1]),
        "personas": {"frameworks": names},
        "influence": {"families": names, "iterations": 0},
    }
    (data / "study.yaml").write_text(as_yaml(study))
    return root


def write_family(folder: Path, environments: list[str]) -> None:
    """A family of environments of these names."""
    folder.mkdir(parents=True)
    assert len(RUBRICS) == 2
    (folder / "family.yaml").write_text(FAMILY)
    for name in environments:
        (folder / f"{name}.yaml").write_text(VULNERABLE)
        write_states(folder, name, [state_line(number) for number in range(1, 9)])
