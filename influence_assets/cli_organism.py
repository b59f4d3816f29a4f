"""`influence organism`: the embedded model, made and studied anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from influence_assets.cli_common import busy, console
from influence_assets.cli_common import project as open_project

if TYPE_CHECKING:
    from influence_assets.organism.shipped_studies import Rows, ShippedStudy


@click.group()
def organism() -> None:
    """Make and study the embedded model anew.

    \b
    influence organism train --out trial --steps 200
    """


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; data/organism when absent.")
@click.option("--seed", default=0, show_default=True)
@click.option("--steps", type=click.IntRange(min=1), help="Fewer steps than the shipped model had, for a trial.")
def train(out: Path | None, seed: int, steps: int | None) -> None:
    """Train the organism from its grammar.

    One thread, about forty minutes.

    \b
    influence organism train --out trial --steps 200    a trial beside the shipped one
    """
    from influence_assets.organism.train import train_organism
    from influence_assets.progress import reporter, terminal_bars

    project = open_project()
    target = out or project.data / "organism"
    target.mkdir(parents=True, exist_ok=True)  # a wrong path is said now, and not after the training
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
@click.option("--out", type=click.Path(path_type=Path), help="Folder for its project; .features-study when absent.")
def features(out: Path | None) -> None:
    """Look for the planted directions.

    At full size, about half an hour: every method, eight traits, every control.

    Writes data/organism/studies/features.json and the tables of docs/organism.md. What is there already is not run
    again.

    \b
    influence organism features --out trial
    """
    from influence_assets.organism.feature_study import FEATURES, as_markdown

    click.echo(as_markdown(_studied(FEATURES, out)))


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for its project; .joint-study when absent.")
def joint(out: Path | None) -> None:
    """Train on ratings and profile every checkpoint.

    About half an hour: three rounds of training that keep the best reply of sixteen, the joint profile of each.

    Writes data/organism/studies/joint.json and the tables of docs/organism.md. What is there already is not run again.

    \b
    influence organism joint --out trial
    """
    from influence_assets.organism.joint_study import JOINT, as_markdown

    click.echo(as_markdown(_studied(JOINT, out)))


@organism.command()
def instruments() -> None:
    """Write its texts and items anew.

    Contrast texts, trait items and neutral texts, from its world.

    \b
    influence organism instruments
    """
    from influence_assets.organism.instruments import write_instruments

    for path in write_instruments(open_project().data):
        click.echo(path)


@organism.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for its projects; .loop-study when absent.")
def study(out: Path | None) -> None:
    """Train the organism on ratings.

    At full size, hours: two methods, with and without veto, three iterations, three seeds. Writes
    data/organism/loop_study.json and the table of docs/organism.md. What is there already is not run again.

    \b
    influence organism study --out trial
    """
    from influence_assets.organism import loop_study
    from influence_assets.organism.card import write_page
    from influence_assets.progress import reporter, terminal_bars

    project = open_project()
    with terminal_bars(console):
        rows = loop_study.run_study(
            project.root,
            out or project.root / ".loop-study",
            on_progress=reporter("studies of the loop", click.echo),
        )
    loop_study.save(rows, project.data / "organism" / loop_study.STUDY_FILE)
    write_page(project.data, project.root / "docs" / "organism.md")
    click.echo(loop_study.as_markdown(rows))


def _studied(study: ShippedStudy, out: Path | None) -> dict[str, Rows]:
    """The tables of a study that ships, run anew and written to the documentation."""
    from influence_assets.organism.card import write_page
    from influence_assets.organism.shipped_studies import LOG_FILE

    project = open_project()
    folder = (out or project.root / f".{study.name}-study").resolve()
    with busy(f"running the study; its progress is in {folder / LOG_FILE}"):
        found = study.run(project.root, folder)
    study.save(found, project.root)
    write_page(project.data, project.root / "docs" / "organism.md")
    return found
