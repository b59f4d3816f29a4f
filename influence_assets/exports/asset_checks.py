"""What the asset checks last said of each partition, read from Dagster's own records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg

from influence_assets.project import Project
from influence_assets.runs import prepare_home

HISTORY = 200
"""Evaluations of a check that are looked through for the latest of every partition."""

_PARTITION_TAG = "dagster/partition"


class Verdict(StrEnum):
    """`warned` and `failed` are both not passed; `failed` is what Dagster calls an error."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True)
class CheckOutcome:
    """The latest evaluation of one check in one partition; `partition` is empty where the run is gone."""

    asset: str
    partition: str
    check: str
    verdict: Verdict
    text: str


def latest_outcomes(project: Project, definitions: dg.Definitions) -> list[CheckOutcome]:
    """By asset, check and partition. Empty when nothing has run in this project's Dagster home."""
    prepare_home(project)
    keys = sorted(definitions.resolve_asset_graph().asset_check_keys, key=lambda key: key.to_user_string())
    with dg.DagsterInstance.get() as instance:
        return [outcome for key in keys for outcome in _outcomes(instance, key)]


def _outcomes(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Iterator[CheckOutcome]:
    seen: set[str] = set()
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=HISTORY):
        event = record.event.dagster_event if record.event else None
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue  # planned, and not evaluated yet
        run = instance.get_run_by_id(record.run_id)
        partition = run.tags.get(_PARTITION_TAG, "") if run else ""
        if partition in seen:
            continue
        seen.add(partition)
        found = event.asset_check_evaluation_data
        yield CheckOutcome(
            asset=key.asset_key.path[-1],
            partition=partition,
            check=key.name,
            verdict=_verdict(found.passed, found.severity),
            text=found.description or "",
        )


def _verdict(passed: bool, severity: dg.AssetCheckSeverity) -> Verdict:
    if passed:
        return Verdict.PASSED
    return Verdict.FAILED if severity is dg.AssetCheckSeverity.ERROR else Verdict.WARNED
