"""Landing rows with their provenance, and saying in the UI and in the ledger what was landed."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl

from influence_assets.step import Step
from resources.errors import InfluenceError
from resources.ledger_tables import MATERIALIZATIONS, REQUESTS
from resources.tables import Table
from resources.warehouse import Provenance

_PACKAGES = ("influence-assets", "dagster", "duckdb", "polars", "torch", "transformers", "openai", "anthropic", "scipy")


def land(step: Step, frames: Mapping[Table, pl.DataFrame], inputs: str, version: str) -> None:
    """Write every table of the asset, and what models were asked for it; raise when a table is missing."""
    if set(frames) != {one.table for one in step.writes}:
        wanted, got = {one.table.name for one in step.writes}, {table.name for table in frames}
        raise InfluenceError(f"{step.asset} must land {sorted(wanted)}, not {sorted(got)}")
    provenance = Provenance(run_id=step.run_id, code_version=version, inputs=inputs, at=datetime.now(UTC))
    for one in step.writes:
        step.project.warehouse.write(one.table, one.partition(step.partition), frames[one.table], provenance)


def record(step: Step, inputs: str, version: str, started: datetime, *, reused: bool) -> None:
    """Add this materialization and its requests to the ledger, and publish the catalogue."""
    warehouse = step.project.warehouse
    here = {"asset": step.asset, "partition": step.partition, "run_id": step.run_id}
    provenance = Provenance(run_id=step.run_id, code_version=version, inputs=inputs, at=started)
    upstream = step.upstream()
    rows = [
        {
            **here,
            "table_name": one.table.name,
            "data_version": pointer.data_version,
            "rows": pointer.rows,
            "upstream": upstream,
            "inputs": inputs,
            "git_commit": git_commit(step.project.root),
            "packages": dict(package_versions()),
            "seed": step.study.seed,
            "started_at": started,
            "finished_at": datetime.now(UTC),
            "reused": reused,
        }
        for one, pointer in step.pointers()
        if pointer is not None
    ]
    warehouse.write(MATERIALIZATIONS, here, warehouse.frame(MATERIALIZATIONS, rows), provenance)
    requests = step.requests()
    if requests.height:
        warehouse.write(REQUESTS, here, requests, provenance)
    _record_what_was_left(step, provenance)
    warehouse.publish()


def _record_what_was_left(step: Step, provenance: Provenance) -> None:
    """Requests of earlier runs that were killed before they could say what they had asked, and paid."""
    from resources.ledger import runs_of

    warehouse = step.project.warehouse
    for run_id in runs_of(step.project.replies, asset=step.asset, partition=step.partition):
        there = {"asset": step.asset, "partition": step.partition, "run_id": run_id}
        if run_id != step.run_id and warehouse.pointer(REQUESTS, there) is None:
            warehouse.write(REQUESTS, there, step.requests(run_id), replace(provenance, run_id=run_id))


def metadata(step: Step, reused: bool) -> dict[str, dg.MetadataValue]:
    """What every materialization shows: rows per table, whether they were reused, what the models cost."""
    counts = {one.table.name: pointer.rows if pointer else 0 for one, pointer in step.pointers()}
    shown: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(sum(counts.values())),
        "rows": dg.MetadataValue.json(counts),
        "reused": dg.MetadataValue.bool(reused),
    }
    for one in step.writes:
        label = "first rows" if one is step.writes[0] else f"first rows of {one.table.name}"
        shown[label] = dg.MetadataValue.md(preview(step.read(one.table, **dict(one.fixed))))
    return shown | request_metadata(step.requests())


def request_metadata(requests: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """Requests, cache hits, cost and failures of one materialization, as numbers that the UI draws over time."""
    if not requests.height:
        return {}
    return {
        "requests": dg.MetadataValue.int(requests.height),
        "cache_hits": dg.MetadataValue.int(int(requests["cached"].sum())),
        "cost_usd": dg.MetadataValue.float(float(requests["cost"].sum())),
        "not_ok": dg.MetadataValue.int(int((requests["status"] != "ok").sum())),
    }


def preview(frame: pl.DataFrame, rows: int = 5, width: int = 60) -> str:
    """The first rows as a markdown table; text is cut and its markup made harmless."""

    def cell(value: object) -> str:
        text = f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
        text = text if len(text) <= width else text[: width - 3] + "..."
        return "".join("\\" + char if char in "\\`*_{}[]<>()#+!|~" else char for char in text)

    head = "| " + " | ".join(frame.columns) + " |"
    rule = "|" + "---|" * frame.width
    return "\n".join([head, rule, *("| " + " | ".join(map(cell, row)) + " |" for row in frame.head(rows).iter_rows())])


def table_metadata(tables: Sequence[Table]) -> dict[str, dg.MetadataValue | str]:
    """What the UI shows of an asset before it ever ran: its tables' names, and their columns with comments."""
    first, *others = tables
    return {
        "dagster/table_name": first.name,
        "dagster/column_schema": _schema(first),
        "tables": dg.MetadataValue.md("\n".join(f"- `{table.name}`: {table.comment}" for table in tables)),
        **{f"columns of {table.name}": _schema(table) for table in others},
    }


def _schema(table: Table) -> dg.MetadataValue:
    columns = [dg.TableColumn(column.name, column.type, description=column.comment) for column in table.columns]
    return dg.MetadataValue.table_schema(dg.TableSchema(columns))


@functools.cache
def git_commit(root: Path) -> str:
    """The commit of the project's checkout, with `+` when it has edits; empty outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def package_versions() -> tuple[tuple[str, str], ...]:
    """Versions of the packages that numbers depend on; packages that are not installed are left out."""
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)
