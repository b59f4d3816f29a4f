"""`influence export`: what has landed, for other tools and other people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from influence_assets.project import Project


@click.group(name="export")
def export() -> None:
    """Inspect logs, CSV and Parquet files, and a report of the study."""


@export.command()
@click.argument("folder", metavar="OUT_DIR", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, help="Models of data/models.yaml; all when absent.")
@click.option("--iteration", type=click.IntRange(min=0), help="One checkpoint; all when absent.")
@click.option(
    "--answers",
    type=click.Choice(["own", "all", "none"]),
    default="own",
    show_default=True,
    help="Answers of steered models: on their own persona's statements, all, or none.",
)
def inspect(folder: Path, models: tuple[str, ...], iteration: int | None, answers: str) -> None:
    """Conversations with their scores, and answers of steered models, as logs for `inspect view`.

    \b
    influence export inspect logs --model organism --iteration 2
    inspect view --log-dir logs
    """
    from influence_assets.exports.inspect_logs import Answers, Wanted, export_inspect

    project = _project()
    for name in models:
        project.registry[name]
    wanted = Wanted(models, iteration, Answers(answers))
    for path in export_inspect(project.warehouse, project.study.name, folder, wanted):
        click.echo(path)


@export.command(name="control-vectors")
@click.argument("file", metavar="OUT.gguf", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="A local model of data/models.yaml.")
@click.option("--iteration", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--factor", required=True, help="The factor, such as a trait.")
@click.option("--category", default="high", show_default=True)
@click.option("--method", default="difference_in_means", show_default=True)
def control_vectors(file: Path, model: str, iteration: int, factor: str, category: str, method: str) -> None:
    """A direction as a GGUF control vector for llama.cpp or repeng; prints the scale that a coefficient of 1 means.

    \b
    influence export control-vectors kind.gguf --model organism --factor agreeableness
    """
    from influence_assets.features.vector_exchange import Which, export_control_vector

    which = Which(model, iteration, factor, category, method)
    scale = export_control_vector(_project(), file, which)
    click.echo(f"coefficient 1 is --control-vector-scaled {file} {scale:.6g}")


@export.command()
@click.argument("file", metavar="OUT.html", type=click.Path(path_type=Path))
def report(file: Path) -> None:
    """The study on one page that can be mailed: design, scores with intervals, plots, limits, cost, versions.

    \b
    influence export report report.html
    """
    from influence_assets.definitions import defs
    from influence_assets.exports.asset_checks import latest_outcomes
    from influence_assets.exports.report import write_report

    project = _project()
    click.echo(write_report(project, latest_outcomes(project, defs), file))


@export.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
def csv(folder: Path, tables: tuple[str, ...]) -> None:
    """Tables as CSV files, lists and maps in them as JSON text. A TABLE is a name or a whole schema; all when absent.

    \b
    influence export csv tables steerability.summary influence.metrics
    """
    from influence_assets.exports.tables import export_chosen

    click.echo(export_chosen(_project().warehouse, folder, "csv", tables))


@export.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
def parquet(folder: Path, tables: tuple[str, ...]) -> None:
    """Tables as Parquet files. A TABLE is a name or a whole schema; all when absent.

    \b
    influence export parquet tables steerability influence.turns
    """
    from influence_assets.exports.tables import export_chosen

    click.echo(export_chosen(_project().warehouse, folder, "parquet", tables))


def _project() -> Project:
    from influence_assets.project import Project, find_root

    return Project(find_root())
