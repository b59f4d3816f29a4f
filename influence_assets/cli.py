"""The command `influence`. Exit codes: 0 done, 1 failed, 2 bad input, 3 budget, 130 interrupted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console

from influence_assets.cli_export import export as export_
from influence_assets.cli_import import import_
from influence_assets.cli_label import label
from influence_assets.interrupts import EXIT_CODE as INTERRUPTED
from influence_assets.interrupts import Interrupted, until_interrupted
from resources.errors import BudgetError, InfluenceError, InputError

if TYPE_CHECKING:
    from influence_assets.project import Project

console = Console(stderr=True)


class Group(click.Group):
    """Turns our errors into one line and an exit code, wherever they come from."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except InfluenceError as error:
            click.echo(f"influence: {error}", err=True)
            code = 2 if isinstance(error, InputError) else 3 if isinstance(error, BudgetError) else 1
            ctx.exit(code)
        except KeyboardInterrupt as interrupt:
            click.echo(f"influence: {interrupt if isinstance(interrupt, Interrupted) else 'interrupted'}", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """How language models influence people, how far they can be steered, and which features carry it.

    \b
    influence demo                         everything, on the embedded organism
    influence run '*' --model my-model     one model through the whole graph
    influence sql "FROM steerability.summary"
    """


@main.command()
def demo() -> None:
    """Run the default study on the embedded organism and print what came out."""
    from influence_assets.demo import run_demo

    sys.exit(run_demo(_project(), console))


@main.command()
@click.argument("selection", default="*")
@click.option("--model", "models", multiple=True, help="Models of data/models.yaml; all when absent.")
@click.option("--framework", "frameworks", multiple=True, help="Frameworks; those of the study when absent.")
@click.option("--family", "families", multiple=True, help="Environment families; those of the study when absent.")
@click.option("--force", is_flag=True, help="Compute partitions anew even where nothing changed.")
def run(
    selection: str, models: tuple[str, ...], frameworks: tuple[str, ...], families: tuple[str, ...], force: bool
) -> None:
    """Materialize a selection of assets: frameworks and environments first, then model by model.

    \b
    influence run                                    every asset, every model
    influence run steerability_metrics --model mini  one asset of one model
    influence run '+key:"steerability/steerability_matrix"'   with all upstream of it
    """
    from influence_assets import definitions, runs

    project = _project()
    for name in models:
        project.registry[name]
    keys = runs.select(definitions.defs, selection)
    names = models or tuple(entry.name for entry in project.registry.models)
    study = project.study
    todo = runs.parts(
        definitions.defs,
        keys,
        models=names,
        frameworks=frameworks or study.personas.frameworks,
        families=families or study.influence.families,
    )
    code = 0
    for outcome in until_interrupted(runs.run(project, definitions.defs, todo, console, force=force), len(todo)):
        state = "done" if not outcome.error else outcome.error
        console.print(f"{outcome.part.partition}: {len(outcome.part.assets)} assets: {state}", markup=False)
        code = max(code, outcome.code)
    sys.exit(code)


@main.command()
@click.argument("selection", default="*")
@click.option("--model", "models", multiple=True, help="Models of data/models.yaml; all when absent.")
def estimate(selection: str, models: tuple[str, ...]) -> None:
    """Requests, tokens and cost of a selection before anything is asked, and the smallest change it could find.

    \b
    influence estimate persona_responses --model mini
    """
    from influence_assets import definitions, runs
    from influence_assets.estimate import print_estimate

    project = _project()
    names = models or tuple(entry.name for entry in project.registry.models)
    assets = [key.path[-1] for key in runs.select(definitions.defs, selection)]
    print_estimate(project, assets, names, console)


@main.command()
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Anything else is open to your network.")
def ui(port: int, host: str) -> None:
    """Open the graph in Dagster, with its records in the project's .dagster folder."""
    from influence_assets.serve import serve

    sys.exit(serve(_project(), host, port))


@main.command()
@click.argument("query", required=False)
def sql(query: str | None) -> None:
    """Ask the published tables; without a query, a shell.

    \b
    influence sql "SELECT method, value FROM steerability.summary WHERE score = 'sensitivity'"
    """
    from influence_assets.shell import print_query, shell

    warehouse = _project().warehouse
    if query is None:
        shell(warehouse)
    else:
        print_query(warehouse, query)


@main.group()
def db() -> None:
    """The published catalogue, data/influence.duckdb."""


@db.command()
def publish() -> None:
    """Build the catalogue anew, after the project folder was moved for example."""
    click.echo(_project().warehouse.publish())


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["duckdb", "parquet", "csv"]), default="duckdb", show_default=True)
def export(file: Path, form: Literal["duckdb", "parquet", "csv"]) -> None:
    """Write all tables into one self-contained DuckDB file, or a folder of Parquet or CSV files."""
    _project().warehouse.export(file, form)
    click.echo(file)


main.add_command(label)
main.add_command(export_)
main.add_command(import_)


@main.command(name="new-states")
@click.argument("environment")
@click.option("-n", default=20, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True)
def new_states(environment: str, n: int, seed: int) -> None:
    """Have the study's generator write more initial states for an environment.

    \b
    influence new-states therapy_talk_vulnerable -n 200
    """
    from influence_assets.influence.writing import write_new_states

    written = write_new_states(_project(), environment, n=n, seed=seed)
    for reason, count in sorted(written.rejected.items()):
        click.echo(f"left out: {count} {reason}")
    click.echo(f"{written.path}: {written.n} of {n} new states")
    sys.exit(0 if written.n else 1)


@main.group()
def organism() -> None:
    """The embedded model organism."""


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; data/organism when absent.")
@click.option("--seed", default=0, show_default=True)
@click.option("--steps", type=int, help="Fewer steps than the shipped model had, for a trial.")
def train(out: Path | None, seed: int, steps: int | None) -> None:
    """Train the organism anew from its world's grammar (one thread, about forty minutes)."""
    from influence_assets.organism.train import train_organism
    from influence_assets.progress import reporter, terminal_bars

    project = _project()
    target = out or project.data / "organism"
    with terminal_bars(console):
        report = reporter("training the organism", click.echo)
        trained = train_organism(
            target,
            data=project.data,
            seed=seed,
            steps=steps,
            docs=project.root / "docs" / "organism.md" if out is None else None,
            on_progress=lambda progress: report(progress.step, progress.steps),
        )
    for figure in trained.figures:
        click.echo(f"{figure.task}, {figure.measure}: {figure.value:.3f}")
    click.echo(target)


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for its project; .feature-study when absent.")
def features(out: Path | None) -> None:
    """Look for the planted directions at full size: every method, eight traits, every control (about half an hour).

    Writes data/organism/studies/features.json and the tables of docs/organism.md. What is there already is not run
    again.
    """
    from influence_assets.organism import feature_study
    from influence_assets.organism.card import write_page

    project = _project()
    found = feature_study.run_study(project.root, (out or project.root / ".feature-study").resolve())
    feature_study.save(found, project.root / feature_study.STUDY / feature_study.RESULT_FILE)
    write_page(project.data, project.root / "docs" / "organism.md")
    click.echo(feature_study.as_markdown(found))


@organism.command()
def instruments() -> None:
    """Write the organism's contrast texts, trait items and neutral texts anew from its world."""
    from influence_assets.organism.instruments import write_instruments

    for path in write_instruments(_project().data):
        click.echo(path)


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for its projects; .loop-study when absent.")
def study(out: Path | None) -> None:
    """Train the organism on ratings: two methods, with and without veto, three iterations, three seeds.

    Writes data/organism/loop_study.json and the table of docs/organism.md. What is there already is not run again.
    """
    from influence_assets.organism import loop_study
    from influence_assets.organism.card import write_page
    from influence_assets.progress import reporter, terminal_bars

    project = _project()
    with terminal_bars(console):
        rows = loop_study.run_study(
            project.root,
            out or project.root / ".loop-study",
            on_progress=reporter("studies of the loop", click.echo),
        )
    loop_study.save(rows, project.data / "organism" / loop_study.STUDY_FILE)
    write_page(project.data, project.root / "docs" / "organism.md")
    click.echo(loop_study.as_markdown(rows))


@main.command()
def doctor() -> None:
    """Check keys, disk, GPU, versions and data files."""
    from influence_assets.doctor import examine

    sys.exit(examine(_project(), console))


def _project() -> Project:
    from influence_assets.project import Project, find_root

    return Project(find_root())


if __name__ == "__main__":
    main()
