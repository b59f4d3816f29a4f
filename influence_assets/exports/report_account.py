"""The report's account of itself: models with hashes, checks, what did not come back, cost, versions, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from influence_assets.exports.asset_checks import CheckOutcome, Verdict
from influence_assets.exports.report_parts import Grid, number, shown
from influence_assets.project import Project
from resources.local.weights import check_weights, model_directory, weights_hash
from resources.registry import ModelEntry, ProviderName
from resources.warehouse import Warehouse

HASH_DIGITS = 16
_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True)
class Account:
    """Everything that a reader needs to judge and to repeat what the report says."""

    models: Grid
    checkpoints: Grid
    checks: Grid
    n_checks: int
    statuses: Grid
    cost: Grid
    total_usd: float
    n_requests: int
    versions: Grid
    packages: tuple[tuple[str, str], ...]
    tables: Grid
    last_landed: str
    edited_checkout: bool


def account_of(project: Project, checks: Sequence[CheckOutcome]) -> Account:
    """Read it all from the tables; `checks` come from Dagster's records."""
    warehouse = project.warehouse
    cost, versions, landed = (ask(warehouse, name) for name in ("report_cost", "report_versions", "report_tables"))
    newest = landed["last_landed"].dt.strftime("%Y-%m-%d %H:%M UTC").max() if landed.height else None
    return Account(
        models=_models(project),
        checkpoints=Grid.of_frame("Checkpoints.", ask(warehouse, "report_checkpoints")),
        checks=_checks(checks),
        n_checks=len(checks),
        statuses=Grid.of_frame("Rows by what became of them.", ask(warehouse, "report_statuses")),
        cost=_cost(cost),
        total_usd=float(cost["us_dollars"].sum()),
        n_requests=int(cost["requests"].sum()),
        versions=_versions(versions),
        packages=_packages(versions),
        tables=Grid.of_frame("Tables.", landed.drop("last_landed")),
        last_landed=shown(newest),
        edited_checkout=any(str(commit).endswith("+") for commit in versions["git_commit"]),
    )


def ask(warehouse: Warehouse, query: str) -> pl.DataFrame:
    """The rows of one of the report's SQL files."""
    return warehouse.query((_SQL / f"{query}.sql").read_text())


def _models(project: Project) -> Grid:
    roles: dict[str, list[str]] = {}
    for role, names in project.study.roles.items():
        for name in names:
            roles.setdefault(name, []).append(role.value.replace("_", " "))
    rows = [
        [
            entry.name,
            entry.provider.value,
            entry.model,
            entry.revision,
            _hash(project, entry),
            ", ".join(roles.get(entry.name, ())),
        ]
        for entry in project.registry.models
    ]
    columns = ("name", "provider", "model", "revision", "sha256 of the weights", "roles beside that of the agent")
    return Grid.of("Models of data/models.yaml.", columns, rows, text=len(columns))


def _hash(project: Project, entry: ModelEntry) -> str | None:
    """Of weights, configuration and tokenizer in a directory of the project; what lies elsewhere is not fetched."""
    if entry.provider is not ProviderName.LOCAL or not (project.root / entry.model).is_dir():
        return None
    directory = model_directory(entry, project.root)
    cache = project.data / "cache" / "hashes"
    return weights_hash(directory, entry, check_weights(directory, entry), cache)[:HASH_DIGITS]


def _checks(checks: Sequence[CheckOutcome]) -> Grid:
    """Those that did not pass, failed ones first."""
    bad = sorted(
        (one for one in checks if one.verdict is not Verdict.PASSED), key=lambda one: one.verdict is not Verdict.FAILED
    )
    rows = [[one.verdict.value, one.partition, one.asset, one.check.replace("_", " "), one.text] for one in bad]
    columns = ("verdict", "partition", "asset", "check", "what was found")
    return Grid.of("Checks that did not pass.", columns, rows, text=len(columns))


def _cost(cost: pl.DataFrame) -> Grid:
    numbers = ("requests", "from_cache", "not_ok", "tokens_in", "tokens_out")
    rows: list[list[object]] = [
        [row["model"], row["role"].replace("_", " "), *(row[name] for name in numbers), number(row["us_dollars"])]
        for row in cost.iter_rows(named=True)
    ]
    totals = [cost[name].sum() for name in numbers]
    rows.append(["all", None, *totals, number(float(cost["us_dollars"].sum()))])
    columns = ("model", "role", *(name.replace("_", " ") for name in numbers), "US$")
    return Grid.of("Requests of all runs.", columns, rows, text=2)


def _versions(versions: pl.DataFrame) -> Grid:
    rows = [
        [
            row["git_commit"],
            row["seed"],
            row["partitions"],
            f"{row['first_at']:%Y-%m-%d %H:%M}",
            f"{row['last_at']:%Y-%m-%d %H:%M}",
        ]
        for row in versions.iter_rows(named=True)
    ]
    return Grid.of("Commits.", ("commit", "seed", "partitions", "from (UTC)", "to (UTC)"), rows)


def _packages(versions: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """Each package with every version that made a row which is still there."""
    found: dict[str, list[str]] = {}
    for packages in versions["packages"]:
        for name, version in dict(packages or {}).items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return tuple((shown(name), shown(", ".join(listed))) for name, listed in sorted(found.items()))
