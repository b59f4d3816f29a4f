"""The study of features that the organism must pass: are the directions that were planted found, and do they steer?

A project folder of its own, run by the command that users run, with the settings of
`data/organism/studies/features.yaml`. What comes out is written to `data/organism/studies/features.json` and from there
into docs/organism.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import yaml

from resources.errors import InfluenceError

STUDY = Path("data") / "organism" / "studies"
LOG_FILE = "run.log"
SETTINGS_FILE, RESULT_FILE = "features.yaml", "features.json"
_SQL = Path(__file__).with_name("sql")
_QUERIES = ("aims", "methods", "traits", "random", "steerability")

Rows = list[dict[str, Any]]


class Aim(NamedTuple):
    """One line of the table of aims: what must come out, and whether it did."""

    what: str
    measured: float
    wanted: str
    met: bool


def run_study(root: Path, out: Path) -> dict[str, Rows]:
    """Run the study in the folder `out` and return its tables by name; what is there is not run again.

    Raises `InfluenceError` with the end of the log when the run fails.
    """
    prepare(root, out)
    command = [sys.executable, "-m", "influence_assets.cli", "run", "*", "--model", "organism"]
    environment = os.environ | {"INFLUENCE_ROOT": str(out), "DAGSTER_HOME": str(out / ".dagster")}
    log = out / LOG_FILE
    with log.open("wb") as file:
        done = subprocess.run(command, cwd=out, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise InfluenceError(f"the study ended with {done.returncode}: {log.read_text(errors='replace')[-800:]}")
    return tables(out / "data" / "influence.duckdb")


def prepare(root: Path, out: Path) -> None:
    """The project folder: the checkout's data files, and the study with the settings of this one."""
    for source in (root / "data").iterdir():
        if source.is_dir() and source.name not in ("warehouse", "cache", "checkpoints", "features", "imports"):
            shutil.copytree(source, out / "data" / source.name, dirs_exist_ok=True)
        elif source.suffix == ".yaml":
            (out / "data").mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, out / "data" / source.name)
    study = yaml.safe_load((root / "data" / "study.yaml").read_text(encoding="utf-8"))
    changes = yaml.safe_load((root / STUDY / SETTINGS_FILE).read_text(encoding="utf-8"))
    for family, settings in changes.items():
        study[family] = settings if family == "features" else study[family] | settings
    (out / "data" / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


def tables(catalogue: Path) -> dict[str, Rows]:
    """The result of every query of `sql/`, by its name."""
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        return {name: connection.sql((_SQL / f"{name}.sql").read_text()).pl().to_dicts() for name in _QUERIES}


def save(found: Mapping[str, Rows], path: Path) -> None:
    """The tables as JSON."""
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Rows]:
    """What `save` wrote; empty when the study was never run."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def aims(found: Mapping[str, Rows]) -> Iterator[Aim]:
    """What the planted truth demands of the instruments (the worst of all traits each time)."""
    (row,) = found["aims"]
    for name, wanted, at_least, what in (
        ("worst_auroc", 0.9, True, "best latent of every pole, held-out AUROC, the lowest of 16"),
        ("explained_variance", 0.9, True, "SAE, explained variance on held-out chats"),
        ("worst_spearman", 0.9, True, "difference in means, Spearman over 9 coefficients, the lowest of 8 traits"),
        ("worst_z", 3.0, True, "difference in means, z against 32 random directions, the lowest of 8 traits"),
        ("worst_specificity", 2.0, True, "difference in means, specificity, the lowest of 8 traits"),
        ("highest_cosine", 0.0, False, "difference in means, cosine with the opposite pole, the highest of 16"),
    ):
        value = float(row[name])
        met = value >= wanted if at_least else value < wanted
        yield Aim(what, value, f"{'at least' if at_least else 'below'} {wanted:g}", met)


def as_markdown(found: Mapping[str, Rows]) -> str:
    """The tables for the documentation."""
    if not found:
        return "The study has not been run on these weights; `influence organism features` runs it."
    goals = [[aim.what, f"{aim.measured:.3f}", aim.wanted, "yes" if aim.met else "**no**"] for aim in aims(found)]
    parts = [
        _table(["aim", "measured", "wanted", "met"], goals),
        "Ways of steering toward the high pole, means over the eight traits. `shift at kl`: largest within .1 nat of "
        "KL on neutral text (a dash: none).",
        _frame(found["methods"]),
        "Difference in means, trait by trait:",
        _frame(found["traits"]),
        "The null: shifts of P(high) of every trait under each of the 32 random directions at the same coefficient.",
        _frame(found["random"]),
        "The same directions as steering methods of the steerability family (agreement with persona statements):",
        _frame(found["steerability"]),
    ]
    return "\n\n".join(parts)


def _frame(rows: Rows) -> str:
    if not rows:
        return "(no rows)"
    return _table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}".replace("0.", ".", 1) if isinstance(value, float) and abs(value) < 1 else (
        f"{value:.2f}" if isinstance(value, float) else str(value).replace("_", " ")
    )  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(name.replace("_", " ") for name in head), "|".join(["---"] * len(head))]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in [*lines, *map(" | ".join, rows)])
