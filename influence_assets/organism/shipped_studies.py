"""Studies of the organism whose settings and results ship with it: a project folder, one run, tables by SQL.

`data/organism/studies/<name>.yaml` holds what the study changes of data/study.yaml, `sql/<name>/` the queries of its
tables, and `data/organism/studies/<name>.json` their results, from where docs/organism.md takes them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from resources.errors import InfluenceError

LOG_FILE = "run.log"
_STUDIES = Path("data") / "organism" / "studies"
_SQL = Path(__file__).with_name("sql")
# What runs write under data/: a study begins without it.
_WRITTEN = ("warehouse", "cache", "checkpoints", "features", "imports", "progress")

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ShippedStudy:
    """A study by its name. `replaced` names the families whose settings replace the shipped ones instead of adding."""

    name: str
    replaced: tuple[str, ...] = ()

    def run(self, root: Path, out: Path) -> dict[str, Rows]:
        """Run the study in the folder `out` and return its tables by name; what is there is not run again.

        Raises `InfluenceError` with the end of the log when the run fails.
        """
        self.prepare(root, out)
        command = [sys.executable, "-m", "influence_assets.cli", "run", "*", "--model", "organism"]
        environment = os.environ | {"INFLUENCE_ROOT": str(out), "DAGSTER_HOME": str(out / ".dagster")}
        log = out / LOG_FILE
        with log.open("wb") as file:
            done = subprocess.run(command, cwd=out, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise InfluenceError(f"the study ended with {done.returncode}: {log.read_text(errors='replace')[-800:]}")
        return self.tables(out / "data" / "influence.duckdb")

    def prepare(self, root: Path, out: Path) -> None:
        """The project folder: the checkout's data files, and the study with the settings of this one."""
        for source in (root / "data").iterdir():
            if source.is_dir() and source.name not in _WRITTEN and not source.name.startswith("."):
                shutil.copytree(source, out / "data" / source.name, dirs_exist_ok=True)
            elif source.suffix == ".yaml":
                (out / "data").mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, out / "data" / source.name)
        study = yaml.safe_load((root / "data" / "study.yaml").read_text(encoding="utf-8"))
        changes = yaml.safe_load((root / _STUDIES / f"{self.name}.yaml").read_text(encoding="utf-8"))
        for family, settings in changes.items():
            study[family] = settings if family in self.replaced else study[family] | settings
        (out / "data" / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")

    def tables(self, catalogue: Path) -> dict[str, Rows]:
        """The result of every query of the study, by its name."""
        queries = sorted((_SQL / self.name).glob("*.sql"))
        with duckdb.connect(str(catalogue), read_only=True) as connection:
            return {query.stem: connection.sql(query.read_text()).pl().to_dicts() for query in queries}

    def save(self, found: Mapping[str, Rows], root: Path) -> None:
        """The tables as JSON, where `load` finds them."""
        (root / _STUDIES / f"{self.name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def load(self, data: Path) -> dict[str, Rows]:
        """What `save` wrote; empty when the study was never run."""
        path = data.parent / _STUDIES / f"{self.name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def frame_markdown(rows: Rows) -> str:
    """Rows as a table, their columns' names as its head."""
    if not rows:
        return "(no rows)"
    return table_markdown(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def table_markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [[name.replace("_", " ") for name in head], ["---"] * len(head), *rows]
    return "\n".join(
        f"|{'|'.join(line)}|" if number == 1 else f"| {' | '.join(line)} |" for number, line in enumerate(lines)
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value).replace("_", " ")
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
