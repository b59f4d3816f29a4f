"""`influence demo`: the default study on the embedded organism, and what came out of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from influence_assets import runs
from influence_assets.definitions import defs
from influence_assets.figures import interval
from influence_assets.interrupts import until_interrupted
from influence_assets.project import Project
from resources.errors import printable_lines

MODEL = "organism"
_SQL = Path(__file__).with_name("sql")


def run_demo(project: Project, console: Console, *, jobs: int) -> int:
    """Materialize every asset for the organism with progress bars, `jobs` at once, then print the summary; returns the
    exit code."""
    started = time.monotonic()
    frameworks, families = project.study.personas.frameworks, project.study.influence.families
    keys = runs.select(defs, "*")
    todo = runs.parts(keys, models=[MODEL], frameworks=frameworks, families=families)
    console.print(Text(f"Study {project.study.name!r}: {', '.join(frameworks)} on the model {MODEL}", style="bold"))
    outcomes = list(until_interrupted(runs.run(project, defs, todo, console, jobs=jobs), len(todo)))
    for outcome in outcomes:
        state = Text(printable_lines(outcome.error), style="red") if outcome.error else Text("done", style="green")
        console.print(Text(f"  {outcome.part.partition}: {len(outcome.part.assets)} assets: ") + state)
    if not any(outcome.error for outcome in outcomes):
        summarize(project, [outcome.run_id for outcome in outcomes], console)
    console.print(f"\n{time.monotonic() - started:.0f} s in all.")
    return max(outcome.code for outcome in outcomes)


def summarize(project: Project, run_ids: Sequence[str], console: Console) -> None:
    """Scores with intervals and chance levels, requests with cost and cache hits, and where to look next."""
    catalogue = str(project.warehouse.catalogue)
    with duckdb.connect(catalogue, read_only=True) as connection:
        scores = connection.execute((_SQL / "demo_steerability.sql").read_text(), {"model": MODEL}).pl()
        loop = connection.execute((_SQL / "demo_influence.sql").read_text(), {"model": MODEL}).pl()
        latents = connection.execute((_SQL / "demo_feature_map.sql").read_text(), {"model": MODEL}).pl()
        doses = connection.execute((_SQL / "demo_dose_response.sql").read_text(), {"model": MODEL}).pl()
        joint = connection.execute((_SQL / "demo_joint.sql").read_text(), {"model": MODEL}).pl()
        requests = connection.execute((_SQL / "demo_requests.sql").read_text(), {"runs": list(run_ids)}).pl()
    console.print()
    console.print(_score_grid(scores))
    console.print(_loop_grid(loop))
    console.print(_latent_grid(latents))
    console.print(_dose_grid(doses))
    console.print(_joint_grid(joint))
    console.print(_request_grid(requests))
    console.print(
        Text.assemble(
            ("Where to look next\n", "bold"),
            "  make ui              the graph, its tables and plots, in Dagster\n",
            "  make viewer          conversations with their ratings, plots, SQL, in the browser\n",
            "  .venv/bin/influence sql 'FROM steerability.summary'   every score\n",
            "  .venv/bin/influence sql 'FROM influence.metrics'      every measure of every checkpoint\n",
            "  .venv/bin/influence sql 'FROM features.dose_response' every direction against its controls\n",
            "  .venv/bin/influence sql \"FROM drift_of('organism')\"    what training changed, with controls\n",
            "  data/influence.duckdb   every table, for any DuckDB client\n",
            "  README.md            add a model, a persona framework, a steering method",
        )
    )


def _score_grid(scores: pl.DataFrame) -> Grid:
    grid = Grid(
        title="Steerability of the organism, with 95 % intervals",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for name in ("method", "sensitivity\n(chance .50)", "specificity\n(chance .50)", "gain over none\n(chance 0)"):
        grid.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    for row in scores.iter_rows(named=True):
        cells = [
            interval(row[score], row[f"{score}_low"], row[f"{score}_high"], signed=score == "gain")
            for score in ("sensitivity", "specificity", "gain")
        ]
        grid.add_row(row["method"], *cells)
    return grid


def _loop_grid(rows: pl.DataFrame) -> Grid:
    """One line per measure: its value in every iteration with its interval, and the change since iteration 0."""
    iterations = sorted(rows["iteration"].unique())
    grid = Grid(
        title="Trained on what people like, held-out conversations, with 95 % intervals",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    grid.add_column("measure", no_wrap=True)
    for iteration in iterations:
        grid.add_column("untouched" if iteration == 0 else f"iteration {iteration}", justify="right", no_wrap=True)
    grid.add_column("change", justify="right", no_wrap=True)
    for (measure, kind), part in rows.group_by("measure", "user_kind", maintain_order=True):
        name = f"{str(measure).replace('_', ' ')}{f', {kind}' if kind != 'all' else ''}"
        cells = [interval(*row) for row in part.sort("iteration").select("value", "ci_low", "ci_high").iter_rows()]
        last = part.sort("iteration").select("delta", "delta_ci_low", "delta_ci_high").row(-1)
        grid.add_row(name, *cells, interval(*last, signed=True))
    return grid


def _latent_grid(rows: pl.DataFrame) -> Grid:
    """One line per pole: its best SAE latent."""
    grid = Grid(
        title="Which SAE latents carry a trait, held-out texts, with 95 % intervals",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for name in ("trait", "pole", "latent", "AUROC (chance .50)", "promotes"):
        grid.add_column(name, justify="left" if name in ("trait", "pole", "promotes") else "right", no_wrap=True)
    for row in rows.iter_rows(named=True):
        words = Text(", ".join(_plain(word) for word in row["promotes"]))
        value = interval(row["value"], row["ci_low"], row["ci_high"])
        grid.add_row(row["trait"], row["pole"], str(row["latent"]), value, words)
    return grid


def _dose_grid(rows: pl.DataFrame) -> Grid:
    """One line per trait and way of steering."""
    reference = max(rows.filter(pl.col("method") != "prompt")["reference"].to_list(), default=0.0)
    grid = Grid(
        title=f"Steered toward a trait's high pole, coefficient {reference:g}: shift of P(high), held-out items",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    columns = (
        "trait",
        "method",
        "shift",
        "z, random\ndirections",
        "on target /\noff target",
        "rank corr.\nwith dose",
        "KL",
    )
    for name in columns:
        grid.add_column(name, justify="left" if name in ("trait", "method") else "right", no_wrap=True)
    for row in rows.iter_rows(named=True):
        figures = [_number(row[name], 1) for name in ("z", "specificity")]
        grid.add_row(
            row["trait"],
            row["method"],
            interval(row["value"], row["ci_low"], row["ci_high"], signed=True),
            *figures,
            _number(row["spearman"], 2),
            _number(row["kl"], 2),
        )
    return grid


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _plain(word: str) -> str:
    """A token of the model's vocabulary, without control characters."""
    return "".join(char for char in word.strip() if char.isprintable())


def _joint_grid(rows: pl.DataFrame) -> Grid:
    """One line per measure: untouched, after the last iteration, the paired change, and how it goes with harm."""
    grid = Grid(
        title="What training changed, with 95 % intervals (words: 100 x projection of replies on a trait's direction)",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for name in (
        "measure",
        "untouched",
        "trained",
        "change",
        "p\n(adjusted)",
        "z over\nshuffled",
        "rank corr.\nwith harm",
    ):
        grid.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
    for row in rows.iter_rows(named=True):
        name = " ".join(filter(None, (row["measure"].removeprefix("projection_"), row["subject"])))
        values = [f"{row[part]:.2f}" for part in ("untouched", "trained")]
        change = interval(row["change"], row["ci_low"], row["ci_high"], signed=True)
        others = ((row["p_adjusted"], ".3f"), (row["z_shuffled"], "+.1f"), (row["with_harm"], "+.2f"))
        grid.add_row(name, *values, change, *("-" if one is None else f"{one:{form}}" for one, form in others))
    return grid


def _request_grid(requests: pl.DataFrame) -> Grid | Text:
    if not requests.height:
        return Text("No model was asked: nothing that the tables depend on has changed.\n")
    grid = Grid(title="What models were asked", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in ("asset", "requests", "cache hits", "not ok", "tokens", "US$"):
        grid.add_column(name, justify="left" if name == "asset" else "right")
    for row in requests.iter_rows(named=True):
        counts = [f"{row[name]:,}" for name in ("requests", "cache_hits", "not_ok", "tokens")]
        grid.add_row(row["asset"], *counts, f"{row['cost_usd']:.2f}")
    return grid
