"""A day with the automation, in a project of its own: edits, and what they make stale and rerun.

Run as `python -m tests.e2e.automation_driver` with INFLUENCE_ROOT; prints one JSON object. The ticks are those of
Dagster's daemon: the sensor looks, the conditions are asked, what they request is run, until nothing is requested.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from influence_assets.definitions import defs
from influence_assets.partitions import FAMILIES, FRAMEWORKS, MODELS, PROJECT
from influence_assets.project import ProjectResource
from influence_assets.recipes import RECIPES
from influence_assets.watching import edited_files

Made = Counter[tuple[str, str]]
MODEL_NAMES = ("near", "far")


class Day:
    """One Dagster instance with its sensor's and its conditions' cursors."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._seen: str | None = None
        self._cursor = None

    def look(self) -> None:
        """The sensor's tick."""
        resource = ProjectResource(root=str(PROJECT.root))
        context = dg.build_sensor_context(self.instance, cursor=self._seen, resources={"project": resource})
        result = edited_files(context)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self._seen = result.cursor

    def make(self, keys: list[dg.AssetKey], partition: str) -> None:
        job = defs.resolve_implicit_global_asset_job_def()
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        done = job.execute_in_process(
            run_config=quiet, instance=self.instance, partition_key=partition, asset_selection=keys
        )
        assert done.success

    def requested(self) -> dict[str, list[dg.AssetKey]]:
        """One tick of the conditions: the assets to run, by partition."""
        result = dg.evaluate_automation_conditions(defs, self.instance, cursor=self._cursor)
        self._cursor = result.cursor
        found: dict[str, list[dg.AssetKey]] = {}
        for key in RECIPES:
            for partition in sorted(result.get_requested_partitions(key)):
                # Families, frameworks and models of one name are runs of their own.
                found.setdefault(f"{RECIPES[key].dimension} {partition}", []).append(key)
        return found

    def settle(self) -> Made:
        """Ticks until nothing is requested; what was made, and how often."""
        made: Made = Counter()
        while True:
            self.look()
            wanted = self.requested()
            if not wanted:
                return made
            for place, keys in wanted.items():
                partition = place.partition(" ")[2]
                made.update((key.path[-1], partition) for key in keys)
                self.make(keys, partition)
            assert sum(made.values()) < 200, f"it goes round in circles: {made}"

    def stale(self) -> list[tuple[str, str]]:
        """What Dagster itself calls stale, as its UI shows it."""
        resolver = CachingStaleStatusResolver(
            self.instance, defs.resolve_asset_graph(), LoadingContextForTest(self.instance)
        )
        return sorted(
            (key.path[-1], partition)
            for key, recipe in RECIPES.items()
            for partition in recipe.partitions.get_partition_keys()
            if resolver.get_status(key, partition) is StaleStatus.STALE
        )


def replace_in(name: str, before: str, after: str) -> None:
    path = PROJECT.root / name
    text = path.read_text()
    assert before in text, (name, before)
    path.write_text(text.replace(before, after, 1))


def edit(day: Day, change: Callable[[], None]) -> dict[str, object]:
    change()
    day.look()
    stale = day.stale()
    made = day.settle()
    return {"stale": stale, "made": [[*place, n] for place, n in sorted(made.items())], "left": day.stale()}


def main(edits: Path) -> None:
    """Make everything once, then make each edit of the file (name: [file, before, after]) and watch."""
    day = Day(dg.DagsterInstance.ephemeral())
    day.look()
    keys = [key for key in defs.resolve_asset_graph().toposorted_asset_keys if key in RECIPES]
    by_kind = {
        kind: [key for key in keys if RECIPES[key].partitions is kind] for kind in (FRAMEWORKS, FAMILIES, MODELS)
    }
    day.make(by_kind[FRAMEWORKS], "organism")
    day.make([dg.AssetKey(["personas", "frameworks"])], "mbti")
    day.make(by_kind[FAMILIES], "organism")
    for model in MODEL_NAMES:
        day.make(by_kind[MODELS], model)
    results: dict[str, object] = {"at first": [[*place, n] for place, n in sorted(day.settle().items())]}
    for name, (file, before, after) in json.loads(edits.read_text()).items():
        results[name] = edit(day, lambda file=file, before=before, after=after: replace_in(file, before, after))
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
