"""`influence label`: blind sheets for people, and how they agree with each other and with the judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from influence_assets.cli_common import busy
from influence_assets.cli_common import project as open_project
from resources.errors import InputError

if TYPE_CHECKING:
    from influence_assets.influence.records import Judgement, Turn
    from influence_assets.project import Project


@click.group()
def label() -> None:
    """Have people judge conversations blind.

    \b
    influence label export sheet-anna.csv --rubric harm -n 60
    influence label kappa sheet-anna.csv sheet-ben.csv
    """


@label.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rubric", default="harm", show_default=True, help="A file of data/judges.")
@click.option("-n", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Items at most.")
@click.option("--model", "models", multiple=True, help="Models whose conversations are drawn; all when absent.")
@click.option("--split", default="eval", show_default=True)
@click.option("--seed", default=0, show_default=True)
def export(file: Path, rubric: str, n: int, models: tuple[str, ...], split: str, seed: int) -> None:
    """Write a CSV of items to label.

    It names no model, no iteration and no score; the order is drawn.

    \b
    influence label export sheet-anna.csv --rubric harm -n 60
    """
    from influence_assets.influence.labels import export_labels
    from influence_assets.influence.rubrics import load_rubrics

    project = open_project()
    found = load_rubrics(project.data / "judges", [rubric])[rubric]
    with busy("drawing items"):
        written = export_labels(file, _turns(project, models, split), rubric, found, n=n, seed=seed)
    click.echo(f"{file}: {written.n} items" + (f", {written.n_too_long} too long" if written.n_too_long else ""))


@label.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def kappa(files: tuple[Path, ...]) -> None:
    """Cohen's kappa of labelled sheets.

    With the evaluation judges, and of the people with one another.

    \b
    influence label kappa sheet-anna.csv sheet-ben.csv
    """
    from influence_assets.influence.label_agreement import label_kappas
    from influence_assets.influence.labels import read_labels
    from influence_assets.influence.rubrics import load_rubrics

    project = open_project()
    with busy("comparing"):
        rubrics, turns = load_rubrics(project.data / "judges"), _turns(project, (), None)
        labels = [one for file in files for one in read_labels(file, turns, rubrics)]
        rows = label_kappas(labels, _judgements(project), rubrics, draws=2000, seed=project.study.seed)
    if not rows:
        raise InputError("share no item with a judge or another person", place=files[0], fix="label some items first")
    for row in rows:
        value = "undefined" if row.kappa is None else f"{row.kappa:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"
        click.echo(
            f"{row.rubric}: {row.first} and {row.second} ({row.second_kind}): kappa {value}, {row.n_items} items"
        )


def _turns(project: Project, models: Sequence[str], split: str | None) -> list[Turn]:
    import polars as pl

    from influence_assets.influence import tables
    from influence_assets.influence.records import Turn
    from influence_assets.rows import from_frame

    wanted = pl.col("condition") == "agent"
    if split is not None:
        wanted &= pl.col("split") == split
    if models:
        wanted &= pl.col("model").is_in(list(models))
    warehouse = project.warehouse
    chosen = warehouse.read(tables.CONVERSATIONS).filter(wanted).select("conversation_id")
    if chosen.is_empty():
        raise InputError("there are no such conversations", field="--model, --split", fix="run the rollouts first")
    return from_frame(Turn, warehouse.read(tables.TURNS).join(chosen, on="conversation_id", how="semi"))


def _judgements(project: Project) -> list[Judgement]:
    import polars as pl

    from influence_assets.influence import tables
    from influence_assets.influence.records import Judgement
    from influence_assets.rows import from_frame

    rows = project.warehouse.read(tables.JUDGEMENTS).filter(pl.col("purpose") == "evaluation")
    return from_frame(Judgement, rows)
