"""Whether the files that people edit can be read, each by the loader that the graph uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from influence_assets.features.backgrounds import load_backgrounds
from influence_assets.features.direction_method import chosen_directions
from influence_assets.features.frames import load_frames
from influence_assets.features.item_sets import Kind, imported
from influence_assets.features.items import load_items
from influence_assets.features.neutral import load_neutral
from influence_assets.features.patterns import read_patterns
from influence_assets.features.side_effect_items import load_side_effects
from influence_assets.influence.loading import load_families, load_family
from influence_assets.influence.probe_sets import load_probe_sets
from influence_assets.influence.rubrics import load_rubrics
from influence_assets.partitions import family_keys
from influence_assets.personas.filters.form import load_form
from influence_assets.personas.frameworks import load_aspects, load_frameworks
from influence_assets.personas.sources import load_source
from influence_assets.project import STUDY_FILE, Project
from influence_assets.steerability.method import chosen_methods
from resources.errors import InputError
from resources.prompts import load_prompt
from resources.yamlfiles import dotted, line_of, read_tree

FRAMES = ("backgrounds.yaml", "contrast.yaml")
"""Files of `data/prompts/features` that hold sentence frames and are no prompts."""


class Kept(NamedTuple):
    """One kind of file: what it holds, a function that reads and counts all of it, and where the study names it."""

    what: str
    read: Callable[[], int]
    at: tuple[str, ...] = ()


def read_all(project: Project) -> tuple[dict[str, int], list[str]]:
    """How many of each kind lie in `data/`, and the first complaint about each kind, each complaint once.

    What the study names is read as well, since its parts must fit together.
    """
    counts: dict[str, int] = {}
    complaints: dict[str, None] = {}
    for counted, all_kept in ((True, _of_folder(project)), (False, _of_study(project))):
        for kept in all_kept:
            try:
                n = kept.read()
            except InputError as error:
                complaints[_said(project, kept, error)] = None
            else:
                if counted:
                    counts[kept.what] = counts.get(kept.what, 0) + n
    return counts, list(complaints)


def _said(project: Project, kept: Kept, error: InputError) -> str:
    """The complaint; of what the study names and no file holds, with the study's line."""
    if not kept.at or (project.root / re.sub(r":\d+$", "", error.place)).is_file():
        return str(error)
    path = project.root / STUDY_FILE
    _, lines = read_tree(path)
    return f"{path}:{line_of(lines, kept.at)}: {dotted(kept.at)}: {error}"


def _of_folder(project: Project) -> list[Kept]:
    """What lies in `data/`, whether the study names it or not."""
    data = project.data
    prompts = [path for path in sorted(project.prompts.rglob("*.yaml")) if path.name not in FRAMES]
    frames = [project.prompts / "features" / name for name in FRAMES]
    return [
        Kept("prompts", lambda: len([load_prompt(path) for path in prompts])),
        Kept("sets of sentence frames", lambda: len([load_frames(path) for path in frames])),
        Kept("frameworks", lambda: len(load_frameworks(data / "frameworks"))),
        Kept("aspects of life", lambda: len(load_aspects(data / "aspects.yaml"))),
        Kept("word lists", lambda: len([load_form(data / "filters" / "form.yaml")])),
        Kept("judges", lambda: len(load_rubrics(data / "judges"))),
        *(_family(data, name) for name in family_keys(data)),
        Kept(
            "sets of backgrounds",
            lambda: len([load_backgrounds(data, [name]) for name in _stems(data / "backgrounds")]),
        ),
        Kept("sets of trait items", lambda: len([load_items(data, [n]) for n in _sets(data, Kind.TRAIT_ITEMS)])),
        Kept("sets of side effects", lambda: len([_n_side_effects(data, [n]) for n in _sets(data, Kind.SIDE_EFFECTS)])),
        Kept("sets of neutral texts", lambda: len([load_neutral(data, name) for name in _stems(data / "neutral")])),
    ]


def _of_study(project: Project) -> list[Kept]:
    """What the study names: that it is there, and that its parts fit together."""
    data, study = project.data, project.study
    influence, features = study.influence, study.features
    reads: dict[str, Callable[[], int]] = {
        "personas.frameworks": lambda: len([load_source(data, slug) for slug in study.personas.frameworks]),
        "steerability.methods": lambda: len(chosen_methods(study.steerability.methods)),
        "influence.families": lambda: len(load_families(data, influence.families)),
        "influence.evaluation.rubrics": lambda: len(load_rubrics(data / "judges", influence.evaluation.rubrics)),
        "influence.evaluation.probe_sets": lambda: len(load_probe_sets(project.root, influence.evaluation.probe_sets)),
        "features.backgrounds": lambda: len(load_backgrounds(data, features.backgrounds)),
        "features.trait_items": lambda: len(load_items(data, features.trait_items, seed=study.seed)),
        "features.side_effects": lambda: _n_side_effects(data, features.side_effects),
        "features.steering.neutral": lambda: len(load_neutral(data, features.steering.neutral)),
        "features.directions": lambda: len(chosen_directions(features.directions)),
        "features.patterns": lambda: _n_patterns(project, features.patterns),
    }
    return [Kept(f"{field} of the study", read, tuple(field.split("."))) for field, read in reads.items()]


def _family(data: Path, name: str) -> Kept:
    return Kept("environments", lambda: len(load_family(data / "environments" / name).environments))


def _n_side_effects(data: Path, names: Sequence[str]) -> int:
    items = load_side_effects(data, names)
    return len(items.safety) + len(items.hallucination) + len(items.bias)


def _n_patterns(project: Project, file: str | None) -> int:
    return 0 if file is None else len(read_patterns(project.root / file))


def _stems(folder: Path) -> Sequence[str]:
    return sorted(path.stem for path in folder.glob("*.yaml") if not path.name.startswith("."))


def _sets(data: Path, kind: Kind) -> Sequence[str]:
    folders = [path for root in (data / kind.value, imported(data, kind)) for path in root.glob("*") if path.is_dir()]
    return sorted({path.name for path in folders if not path.name.startswith(".")})
