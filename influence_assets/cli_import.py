"""`influence import`: public data sets and vectors from your own disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from influence_assets.cli_common import busy
from influence_assets.cli_common import project as open_project

if TYPE_CHECKING:
    from influence_assets.features.item_import import ImportedSet


@click.group(name="import")
def import_() -> None:
    """Bring in public data sets and vectors.

    They are read from your own disk.

    \b
    influence import steerability-eval personas.csv statements.csv
    influence import trait TRAIT.json --name trait
    """


@import_.command(name="steerability-eval")
@click.argument("personas", type=click.Path(path_type=Path))
@click.argument("statements", type=click.Path(path_type=Path))
def steerability_eval(personas: Path, statements: Path) -> None:
    """The public steerability benchmark.

    It becomes a framework partition. PERSONAS and STATEMENTS are its two CSV files.

    \b
    influence import steerability-eval personas.csv statements.csv
    """
    from influence_assets.personas.importers import import_steerability_eval, write_import

    with busy("reading the benchmark"):
        folder = write_import(import_steerability_eval(personas, statements), open_project().data / "imports")
    click.echo(folder)


@import_.command(name="influence-benchmark")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the family; the folder's when absent.")
def influence_benchmark(directory: Path, name: str | None) -> None:
    """The public influence benchmark.

    It becomes a family of environments. DIRECTORY is one of its folders with a _master_config.yaml.

    \b
    influence import influence-benchmark ~/targeted-manipulation/config/env_configs/therapist
    """
    from influence_assets.influence.importer import import_influence_benchmark

    with busy("reading the benchmark"):
        report = import_influence_benchmark(directory, open_project().data / "environments", name=name)
    for finding in report.findings:
        click.echo(finding)
    click.echo(report.folder)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.trait_items of the study.")
def trait(file: Path, name: str) -> None:
    """Trait items in the public TRAIT layout.

    \b
    influence import trait TRAIT.json --name trait
    """
    from influence_assets.features.item_import import import_trait

    with busy("reading items"):
        found = import_trait(file, open_project().data, name=name)
    _say(found)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.side_effects of the study.")
def safety(file: Path, name: str) -> None:
    """Safety items in the SafetyBench layout.

    Multiple choice, JSON, with answers.

    \b
    influence import safety dev_en.json --name safetybench
    """
    from influence_assets.features.item_import import import_safety

    with busy("reading items"):
        found = import_safety(file, open_project().data, name=name)
    _say(found)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the set, for features.side_effects of the study.")
def hallucination(file: Path, name: str) -> None:
    """Hallucination items in the HaluEval layout.

    Of its QA part, JSON lines; they are asked with yes and no.

    \b
    influence import hallucination qa_data.json --name halueval
    """
    from influence_assets.features.item_import import import_hallucination

    with busy("reading items"):
        found = import_hallucination(file, open_project().data, name=name)
    _say(found)


@import_.command(name="control-vector")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The local model that it was made on.")
@click.option("--factor", required=True, help="The factor that it is of, such as a trait.")
@click.option("--category", default="high", show_default=True, help="The category that adding it moves toward.")
def control_vector(file: Path, model: str, factor: str, category: str) -> None:
    """A GGUF control vector.

    Of llama.cpp or repeng. Its layers become directions with the method `imported`.

    \b
    influence import control-vector honest.gguf --model llama-8b --factor machiavellianism --category low
    """
    from influence_assets.features.vector_exchange import import_control_vector

    with busy("reading the vector"):
        paths = import_control_vector(open_project(), file, model=model, factor=factor, category=category)
    for path in paths:
        click.echo(path)


def _say(found: ImportedSet) -> None:
    for file, n in found.n_items.items():
        click.echo(f"{file}: {n} items")
    click.echo(found.folder)
