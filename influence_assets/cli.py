"""The command `influence`. Exit codes: 0 done, 1 failed, 2 bad input, 3 budget, 130 interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from influence_assets.cli_common import busy, console
from influence_assets.cli_common import project as open_project
from influence_assets.cli_export import export as export_
from influence_assets.cli_import import import_
from influence_assets.cli_label import label
from influence_assets.cli_organism import organism
from influence_assets.interrupts import EXIT_CODE as INTERRUPTED
from influence_assets.interrupts import Interrupted, noticed, until_interrupted
from resources.errors import BudgetError, InfluenceError, InputError, printable_lines

_WRONG_PATH = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


def _two() -> int:
    """How many assets the demo makes at once: each takes a core and a gigabyte."""
    return min(2, os.cpu_count() or 1)


class Group(click.Group):
    """Turns our errors into one line and an exit code, wherever they come from."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            with noticed():  # from the first import on, in which Python forgets what a handler raises now and then
                return super().invoke(ctx)
        except InfluenceError as error:
            click.echo(f"influence: {error}", err=True)
            code = 2 if isinstance(error, InputError) else 3 if isinstance(error, BudgetError) else 1
            ctx.exit(code)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"influence: {place}{error.strerror or error}", err=True)
            ctx.exit(2 if isinstance(error, _WRONG_PATH) else 1)
        except KeyboardInterrupt as interrupt:
            click.echo(f"influence: {interrupt if isinstance(interrupt, Interrupted) else 'interrupted'}", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """How language models influence people, how far they can be steered, and which features carry it.

    \b
    influence demo                         everything, on the embedded organism
    influence doctor                       is everything there that the study needs?
    influence estimate --model my-model    requests, tokens and cost, before anything is asked
    influence run '*' --model my-model     one model through the whole graph
    influence sql "FROM steerability.summary"

    Commands work in the project of the working directory: the nearest folder above with data/study.yaml in it.

    Exit codes: 0 done, 1 failed, 2 bad input, 3 budget used up, 130 interrupted (what has landed is kept, and the same
    command goes on from there).
    """


@main.command()
@click.option("--jobs", type=click.IntRange(1, 64), default=_two, show_default="2 or the cores", help="Assets at once.")
def demo(jobs: int) -> None:
    """Run the study on the embedded organism.

    Prints what came out, with intervals, and what to look at next.

    \b
    influence demo      a second time it asks nothing again
    """
    with busy("reading the study"):
        from influence_assets.demo import run_demo

    sys.exit(run_demo(open_project(), console, jobs=jobs))


@main.command()
@click.argument("selection", default="*")
@click.option("--model", "models", multiple=True, help="Models of data/models.yaml; all when absent.")
@click.option("--framework", "frameworks", multiple=True, help="Frameworks; those of the study when absent.")
@click.option("--family", "families", multiple=True, help="Environment families; those of the study when absent.")
@click.option("--force", is_flag=True, help="Compute partitions anew even where nothing changed.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Partitions or assets at once.")
def run(
    selection: str,
    models: tuple[str, ...],
    frameworks: tuple[str, ...],
    families: tuple[str, ...],
    force: bool,
    jobs: int,
) -> None:
    """Materialize assets, model by model.

    Frameworks and environments come first, since every model stands on them. SELECTION is an asset's name or a Dagster
    selection. What has landed from the same inputs is not computed again.

    A model behind an API waits more than it works: several of those run well at once. A local model takes a share of
    this machine for each.

    \b
    influence run                                    every asset, every model
    influence run steerability_metrics --model mini  one asset of one model
    influence run '+key:"steerability/steerability_matrix"'   with all upstream of it
    influence run --jobs 8                           eight partitions at once, each in a process of its own
    influence run --model mini --jobs 2              two assets at once that do not stand on each other
    """
    project = open_project()
    for name in models:
        project.registry[name]
    with busy("reading the study"):
        from influence_assets import definitions, runs
        from influence_assets.partitions import family_keys, framework_keys

        keys = runs.select(definitions.defs, selection)
    _known("--framework", frameworks, framework_keys(project.data))
    _known("--family", families, family_keys(project.data))
    names = models or tuple(entry.name for entry in project.registry.models)
    study = project.study
    todo = runs.parts(
        keys,
        models=names,
        frameworks=frameworks or study.personas.frameworks,
        families=families or study.influence.families,
    )
    code = 0
    outcomes = runs.run(project, definitions.defs, todo, console, force=force, jobs=jobs)
    for outcome in until_interrupted(outcomes, len(todo)):
        state = "done" if not outcome.error else outcome.error
        said = f"{outcome.part.partition}: {len(outcome.part.assets)} assets: {state}"
        console.print(printable_lines(said), markup=False)
        code = max(code, outcome.code)
    sys.exit(code)


def _known(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError(
                "there is none of this name", field=field, value=name, fix=f"there are: {', '.join(known)}"
            )


@main.command()
@click.argument("selection", default="*")
@click.option("--model", "models", multiple=True, help="Models of data/models.yaml; all when absent.")
def estimate(selection: str, models: tuple[str, ...]) -> None:
    """Count requests, tokens and cost beforehand.

    Asks nobody. Also says how small a change the study could find, once rows have landed that show how much answers
    vary. SELECTION is as for run.

    \b
    influence estimate --model mini                     every asset of one model
    influence estimate persona_responses --model mini   one asset
    """
    project = open_project()
    for name in models:
        project.registry[name]
    names = models or tuple(entry.name for entry in project.registry.models)
    with busy("counting questions"):
        from influence_assets import definitions, runs
        from influence_assets.estimate import print_estimate

        assets = [key.path[-1] for key in runs.select(definitions.defs, selection)]
        print_estimate(project, assets, names, console)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Anything else is open to your network.")
def ui(port: int, host: str) -> None:
    """Open the graph in Dagster.

    Its records lie in the project's .dagster folder.

    \b
    influence ui --port 3001
    """
    from influence_assets.serve import serve

    sys.exit(serve(open_project(), host, port))


@main.command()
@click.option("--port", default=8501, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Anything else is open to your network.")
@click.option("--live", is_flag=True, help="Also play conversations with models, at their cost.")
def viewer(port: int, host: str, live: bool) -> None:
    """Read conversations, plots and tables.

    \b
    influence viewer --live
    """
    from influence_assets.viewer.serve import serve_viewer

    sys.exit(serve_viewer(open_project(), host, port, live=live))


@main.command()
@click.argument("query", required=False)
@click.option("--as-of", "as_of", metavar="RUN", help="The tables as they were after this run (DuckLake only).")
def sql(query: str | None, as_of: str | None) -> None:
    """Ask the published tables; without a query, a shell.

    \b
    influence sql "SELECT method, value FROM steerability.summary WHERE score = 'sensitivity'"
    influence sql "SHOW ALL TABLES"
    influence sql "DESCRIBE influence.metrics"
    influence sql --as-of 1c9a7f52 "FROM steerability.summary"
    """
    from influence_assets.shell import print_query, shell

    warehouse = open_project().warehouse
    if query is None:
        shell(warehouse, as_of)
    else:
        print_query(warehouse, query, as_of)


@main.group()
def db() -> None:
    """The published catalogue, data/influence.duckdb."""


@db.command()
def publish() -> None:
    """Build the catalogue anew.

    Needed after the project folder was moved.

    \b
    influence db publish
    """
    with busy("publishing"):
        path = open_project().warehouse.publish()
    click.echo(path)


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["duckdb", "parquet", "csv"]), default="duckdb", show_default=True)
@click.option("--as-of", "as_of", metavar="RUN", help="The tables as they were after this run (DuckLake only).")
def export(file: Path, form: Literal["duckdb", "parquet", "csv"], as_of: str | None) -> None:
    """Copy all tables into one file or folder.

    One self-contained DuckDB file, or a folder of Parquet or CSV files.

    \b
    influence db export study.duckdb
    influence db export study-parquet --format parquet
    """
    with busy("copying tables"):
        open_project().warehouse.export(file, form, as_of=as_of)
    click.echo(file)


main.add_command(label)
main.add_command(export_)
main.add_command(import_)
main.add_command(organism)


@main.command(name="new-states")
@click.argument("environment")
@click.option("-n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True)
def new_states(environment: str, n: int, seed: int) -> None:
    """Have a model write more initial states.

    ENVIRONMENT is a file of data/environments; the study's generator writes.

    \b
    influence new-states therapy_talk_vulnerable -n 200
    """
    from influence_assets.influence.writing import write_new_states
    from influence_assets.progress import terminal_bars

    with terminal_bars(console):
        written = write_new_states(open_project(), environment, n=n, seed=seed)
    for reason, count in sorted(written.rejected.items()):
        click.echo(f"left out: {count} {reason}")
    click.echo(f"{written.path}: {written.n} of {n} new states")
    sys.exit(0 if written.n else 1)


@main.command()
def doctor() -> None:
    """Check versions, disk, GPU, files and keys.

    Each problem is one line with its fix; exit code 2 when there is one. Asks nobody.

    \b
    influence doctor
    """
    with busy("looking around"):
        from influence_assets.doctor import examine

    sys.exit(examine(open_project(), console))


if __name__ == "__main__":
    main()
