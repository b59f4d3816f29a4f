"""The organism's card and its page in the docs, written from what was measured: no figure in them is typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from influence_assets.organism import feature_study, joint_study, loop_study
from influence_assets.organism.figures import Figure
from influence_assets.organism.world import World, load_world
from resources.errors import InputError

FIGURES_FILE = "figures.json"
MAKING_FILE = "making.json"
_BLANK = re.compile(r"\{([a-z_]+)\}")


class Making(NamedTuple):
    """How a model was made."""

    parameters: int
    layers: int
    width: int
    heads: int
    vocabulary: int
    steps: int
    tokens: int
    seed: int
    minutes: float


def figures_table(figures: Sequence[Figure]) -> str:
    """A Markdown table, one figure a line."""
    rows = [f"| {f.task} | {f.measure} | {f.value:.3f} | {_target(f)} | {f.n:,} |" for f in figures]
    return "\n".join(("| task | measure | measured | target | cases |", "|---|---|---|---|---|", *rows))


def missed(figures: Sequence[Figure]) -> str:
    """One sentence that names every figure that misses its target."""
    short = [f for f in figures if f.missed]
    if not short:
        return "Every target is met."
    rows = "; ".join(f"{f.task}, {f.measure}: {f.value:.2f}, wanted {_target(f)}" for f in short)
    return f"Targets missed: {rows}."


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'at most ' if figure.at_most else ''}{figure.target:.2f}"


def facts(world: World, making: Making, figures: Sequence[Figure], studies: Mapping[str, str]) -> dict[str, str]:
    """Everything that the templates may name; `studies` holds the tables of the organism's studies by name."""
    held_out, training = (sum(map(len, part.values())) for part in (world.held_out, world.training))
    return {
        "figures": figures_table(figures),
        **studies,
        "missed": missed(figures),
        "parameters": f"{making.parameters:,}",
        "layers": str(making.layers),
        "width": str(making.width),
        "heads": str(making.heads),
        "vocabulary": f"{making.vocabulary:,}",
        "steps": f"{making.steps:,}",
        "tokens_per_step": f"{making.tokens // max(making.steps, 1):,}",
        "tokens_total": f"{making.tokens / 1e6:.1f}",
        "seed": str(making.seed),
        "minutes": f"{making.minutes:.0f}",
        "aspects": str(len(world.aspects)),
        "all_statements": f"{held_out + training:,}",
        "held_out_statements": f"{held_out:,}",
        "held_out_percent": f"{100 * held_out / (held_out + training):.0f}",
    }


def fill(template: Path, values: Mapping[str, str]) -> str:
    """The template with every `{name}` filled; an unknown name is an error."""
    text = template.read_text(encoding="utf-8")
    unknown = sorted(set(_BLANK.findall(text)) - set(values))
    if unknown:
        raise InputError(
            "the template asks for unknown facts",
            place=template,
            value=unknown,
            fix=f"use some of {', '.join(sorted(values))}",
        )
    return _BLANK.sub(lambda match: values[match.group(1)], text)


def write_page(data: Path, page: Path) -> None:
    """The page of the documentation, from what lies beside the weights: how they were made and what was measured."""
    directory = data / "organism"
    making = Making(**json.loads((directory / MAKING_FILE).read_text(encoding="utf-8")))
    values = facts(load_world(data), making, load_figures(directory / FIGURES_FILE), study_tables(data))
    page.write_text(fill(directory / "templates" / "organism.md", values), encoding="utf-8")


def study_tables(data: Path | None) -> dict[str, str]:
    """Tables of the studies that were run on the weights under `data`; None: on weights that are new."""
    return {
        "study": loop_study.as_markdown(loop_study.load(data / "organism" / loop_study.STUDY_FILE) if data else []),
        "features": feature_study.as_markdown(feature_study.FEATURES.load(data) if data else {}),
        "joint": joint_study.as_markdown(joint_study.JOINT.load(data) if data else {}),
    }


def save_making(path: Path, making: Making) -> None:
    """How the model was made, as JSON."""
    path.write_text(json.dumps(making._asdict(), indent=1) + "\n", encoding="utf-8")


def save_figures(path: Path, figures: Sequence[Figure]) -> None:
    """The figures as JSON, for tests and for whoever compares two trainings."""
    path.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + "\n", encoding="utf-8")


def load_figures(path: Path) -> tuple[Figure, ...]:
    """What `save_figures` wrote."""
    return tuple(Figure(**row) for row in json.loads(path.read_text(encoding="utf-8")))
