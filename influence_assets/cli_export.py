"""`influence export`: what has landed, for other tools and other people."""

from __future__ import annotations

from pathlib import Path

import click

from influence_assets.cli_common import busy
from influence_assets.cli_common import project as open_project


@click.group(name="export")
def export() -> None:
    """Write logs, tables, vectors or a report.

    \b
    influence export report report.html
    influence export inspect logs --model organism
    influence export csv tables steerability.summary
    """


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
    """Logs for `inspect view`.

    Conversations with their scores, and answers of steered models.

    \b
    influence export inspect logs --model organism --iteration 2
    inspect view --log-dir logs
    """
    from influence_assets.exports.inspect_logs import Answers, Wanted, export_inspect

    project = open_project()
    for name in models:
        project.registry[name]
    wanted = Wanted(models, iteration, Answers(answers))
    with busy("writing logs"):
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
    """A direction as a GGUF control vector.

    For llama.cpp or repeng. Prints the scale that a coefficient of 1 means.

    \b
    influence export control-vectors kind.gguf --model organism --factor agreeableness
    """
    from influence_assets.features.vector_exchange import Which, export_control_vector

    which = Which(model, iteration, factor, category, method)
    project = open_project()
    project.registry[model]
    with busy("writing the vector"):
        scale = export_control_vector(project, file, which)
    click.echo(f"coefficient 1 is --control-vector-scaled {file} {scale:.6g}")


@export.command()
@click.argument("file", metavar="OUT.html", type=click.Path(path_type=Path))
def report(file: Path) -> None:
    """The study on one page that can be mailed.

    Design, scores with intervals, plots, limits, cost, versions.

    \b
    influence export report report.html
    """
    with busy("writing the report"):
        from influence_assets.definitions import defs
        from influence_assets.exports.asset_checks import latest_outcomes
        from influence_assets.exports.report import write_report

        project = open_project()
        path = write_report(project, latest_outcomes(project, defs), file)
    click.echo(path)


@export.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
def csv(folder: Path, tables: tuple[str, ...]) -> None:
    """Tables as CSV files.

    Lists and maps become JSON text. A TABLE is a name or a whole schema; all when absent.

    \b
    influence export csv tables steerability.summary influence.metrics
    """
    from influence_assets.exports.tables import export_chosen

    with busy("copying tables"):
        path = export_chosen(open_project().warehouse, folder, "csv", tables)
    click.echo(path)


@export.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
def parquet(folder: Path, tables: tuple[str, ...]) -> None:
    """Tables as Parquet files.

    A TABLE is a name or a whole schema; all when absent.

    \b
    influence export parquet tables steerability influence.turns
    """
    from influence_assets.exports.tables import export_chosen

    with busy("copying tables"):
        path = export_chosen(open_project().warehouse, folder, "parquet", tables)
    click.echo(path)
