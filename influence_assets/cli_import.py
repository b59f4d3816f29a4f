"""`influence import`: public data sets and vectors from your own disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from influence_assets.features.item_import import ImportedSet
    from influence_assets.project import Project


@click.group(name="import")
def import_() -> None:
    """Bring in public data sets from your own disk."""


@import_.command(name="steerability-eval")
@click.argument("personas", type=click.Path(path_type=Path))
@click.argument("statements", type=click.Path(path_type=Path))
def steerability_eval(personas: Path, statements: Path) -> None:
    """The public steerability benchmark: PERSONAS.csv and STATEMENTS.csv become a framework partition.

    \b
    influence import steerability-eval personas.csv statements.csv
    """
    from influence_assets.personas.importers import import_steerability_eval, write_import

    project = _project()
    benchmark = import_steerability_eval(personas, statements)
    click.echo(write_import(benchmark, project.data / "imports"))


@import_.command(name="influence-benchmark")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the family; the folder's when absent.")
def influence_benchmark(directory: Path, name: str | None) -> None:
    """The public influence benchmark: a folder with _master_config.yaml becomes a family of environments.

    \b
    influence import influence-benchmark ~/targeted-manipulation/config/env_configs/therapist
    """
    from influence_assets.influence.importer import import_influence_benchmark

    report = import_influence_benchmark(directory, _project().data / "environments", name=name)
    for finding in report.findings:
        click.echo(finding)
    click.echo(report.folder)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.trait_items of the study.")
def trait(file: Path, name: str) -> None:
    """Trait items in the public TRAIT layout (JSON).

    \b
    influence import trait TRAIT.json --name trait
    """
    from influence_assets.features.item_import import import_trait

    _say(import_trait(file, _project().data, name=name))


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.side_effects of the study.")
def safety(file: Path, name: str) -> None:
    """Multiple-choice safety items in the SafetyBench layout (JSON, with answers).

    \b
    influence import safety dev_en.json --name safetybench
    """
    from influence_assets.features.item_import import import_safety

    _say(import_safety(file, _project().data, name=name))


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.side_effects of the study.")
def hallucination(file: Path, name: str) -> None:
    """Yes/no hallucination items in the HaluEval QA layout (JSON lines).

    \b
    influence import hallucination qa_data.json --name halueval
    """
    from influence_assets.features.item_import import import_hallucination

    _say(import_hallucination(file, _project().data, name=name))


@import_.command(name="control-vector")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The local model that it was made on.")
@click.option("--factor", required=True, help="The factor that it is of, such as a trait.")
@click.option("--category", default="high", show_default=True, help="The category that adding it moves toward.")
def control_vector(file: Path, model: str, factor: str, category: str) -> None:
    """A GGUF control vector (llama.cpp, repeng): its layers become directions with the method `imported`.

    \b
    influence import control-vector honest.gguf --model llama-8b --factor machiavellianism --category low
    """
    from influence_assets.features.vector_exchange import import_control_vector

    for path in import_control_vector(_project(), file, model=model, factor=factor, category=category):
        click.echo(path)


def _say(found: ImportedSet) -> None:
    for file, n in found.n_items.items():
        click.echo(f"{file}: {n} items")
    click.echo(found.folder)


def _project() -> Project:
    from influence_assets.project import Project, find_root

    return Project(find_root())
