"""The guides keep working: their YAML loads, their examples are what the loaders want, their commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
import yaml

from influence_assets.cli import main
from influence_assets.features.backgrounds import load_backgrounds
from influence_assets.features.direction_method import DirectionMethod
from influence_assets.features.items import load_items
from influence_assets.influence.loading import load_families
from influence_assets.influence.rubrics import load_rubrics
from influence_assets.personas.frameworks import load_frameworks
from influence_assets.steerability.method import SteeringMethod
from influence_assets.study import load_study
from resources.prompts import load_prompt
from resources.registry import load_registry
from tests.projects import CHECKOUT

GUIDES = ("guide-api.md", "guide-gpu.md")
PAGES = [*sorted(path.name for path in (CHECKOUT / "docs").glob("*.md")), "../README.md"]


def text_of(page: str) -> str:
    return (CHECKOUT / "docs" / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), re.S | re.M)
    return [block for name, block in found if name == language]


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of docs/adding.md that name themselves in their first line."""
    root = tmp_path_factory.mktemp("added")
    for language in ("yaml", "json", "python", "sql"):
        for block in blocks("adding.md", language):
            first, _, rest = block.partition("\n")
            if found := re.fullmatch(r"(?:#|--) ((?:data|resources|influence_assets)/\S+)", first):
                path = root / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(rest)
    return root


@pytest.mark.parametrize("page", GUIDES)
def test_the_project_of_a_guide_loads(page: str, tmp_path: Path) -> None:
    models, study = blocks(page, "yaml")
    (tmp_path / "models.yaml").write_text(models)
    (tmp_path / "study.yaml").write_text(study)
    known = {entry.name: entry for entry in load_registry(tmp_path / "models.yaml").models}
    for role, names in load_study(tmp_path / "study.yaml").roles.items():
        for name in names:
            assert role in known[name].roles, (role, name)


def test_files_of_the_examples_load(added: Path) -> None:
    data = added / "data"
    assert [len(found.personas) for found in load_frameworks(data / "frameworks").values()] == [2]
    rubrics = load_rubrics(data / "judges")
    assert list(rubrics) == ["haste"]
    (data / "judges" / "harm.yaml").write_text((CHECKOUT / "data" / "judges" / "harm.yaml").read_text())
    assert len(load_families(data, ["garden"])["garden"].states["garden_ordinary"]) == 2
    assert load_backgrounds(data, ["patience"])[0].name == "patience"
    assert {item.half.value for item in load_items(data, ["patience"])} == {"selection", "heldout"}


def test_methods_of_the_examples_are_methods(added: Path, tmp_path: Path) -> None:
    code = added / "influence_assets"
    motto = names_of(code / "steerability" / "methods" / "motto.py")["METHOD"]
    assert isinstance(motto, SteeringMethod)
    assert isinstance(
        names_of(code / "features" / "directions" / "difference_in_medians.py")["METHOD"], DirectionMethod
    )
    variants = next(block for block in blocks("adding.md", "yaml") if block.startswith("  motto:"))
    (tmp_path / "methods.yaml").write_text("about: one\nvariants:\n" + variants)
    assert (
        load_prompt(tmp_path / "methods.yaml").render("motto", agree=("I wait.",))[0].content.startswith("Your motto")
    )


def names_of(path: Path) -> dict[str, object]:
    names: dict[str, object] = {"__name__": path.stem}
    exec(compile(path.read_text(), path, "exec"), names)
    return names


def commands() -> list[tuple[str, list[str]]]:
    """Every call of `influence` in a code block of a page, as words."""
    return [(page, words) for page in PAGES for block in blocks(page, "") for words in calls(block)]


def calls(block: str) -> Iterator[list[str]]:
    """A call begins a line and goes on while a quotation is open."""
    lines = block.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"(\S+/)?influence ", line):
            for end in range(number + 1, len(lines) + 1):
                with suppress(ValueError):  # a quotation is open
                    yield shlex.split("\n".join(lines[number:end]), comments=True)[1:]
                    break


def test_there_are_commands_to_look_at() -> None:
    assert len(commands()) > 20


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else " ".join(value)[:40]
)
def test_commands_exist(page: str, words: list[str]) -> None:
    command, context = main, click.Context(main)
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"{page}: influence {name}"
        command, context = found, click.Context(found, parent=context)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= options, page


def every_command(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    below = command.commands.items() if isinstance(command, click.Group) else ()
    return [(name, command), *(one for part, sub in below for one in every_command(sub, f"{name} {part}"))]


@pytest.mark.parametrize(("name", "command"), every_command(main, "influence"))
def test_every_command_has_a_short_help_and_an_example(name: str, command: click.Command) -> None:
    assert name == "influence" or "..." not in command.get_short_help_str(limit=58), "the list of commands would cut it"
    parts = name.split(" ")
    example = name if not isinstance(command, click.Group) else " ".join(parts[:1])
    shown = command.get_help(click.Context(command, info_name=name))
    assert re.search(rf"^  +{re.escape(example)}\b", shown, re.M) or name == "influence db", shown


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page)):
            assert (CHECKOUT / "docs" / page).parent.joinpath(target).exists(), (page, target)


def test_yaml_of_the_readme_is_yaml() -> None:
    for page in PAGES:
        for block in blocks(page, "yaml"):
            yaml.safe_load(block.replace("sae: {directory", "other: {directory"))
