"""Running assets from the command line, on the same Dagster instance that the UI shows.

One Dagster run holds partitions of one definition only, so a selection runs as one run per framework, one per family
of environments, and then one per model. A failed partition does not stop the others, but no model's asset is run that
stands on a framework or a family that failed (a failed blocking check is a failure).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from rich.console import Console

from influence_assets.partitions import FAMILIES, FRAMEWORKS, MODELS
from influence_assets.progress import terminal_bars
from influence_assets.project import Project
from influence_assets.step import FORCE_TAG, SCOPE_TAG
from resources.errors import BudgetError, InputError

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Part:
    """One run: a partition and the assets to materialize in it."""

    partition: str
    assets: tuple[dg.AssetKey, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one run. `error` is empty on success; `code` is the exit code that it asks for."""

    part: Part
    run_id: str
    error: str = ""
    code: int = 0


def prepare_home(project: Project) -> Path:
    """Dagster's home inside the project, with our settings; `DAGSTER_HOME` points there from now on."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(project.home)))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml")
    return home


def quiet_instance(home: Path) -> dg.DagsterInstance:
    """Dagster's instance in this home, without its capture of what a step prints.

    The capture starts four processes for every step, stands between the progress bars and the terminal, and answers
    Ctrl-C with tracebacks of its own.
    """
    none = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.resolve()), overrides={"compute_logs": none}))


def select(definitions: dg.Definitions, selection: str) -> list[dg.AssetKey]:
    """Asset keys of a Dagster selection string such as `*`, `group:personas` or `+key:steerability/matrix`."""
    graph = definitions.resolve_asset_graph()
    # A bare name means the asset of that name, whatever its group.
    keys = {key for key in graph.get_all_asset_keys() if selection in ("*", key.path[-1])}
    if not keys:
        # Dagster's own error for a bad selection is a page long and does not say what exists.
        with contextlib.suppress(dg.DagsterError), warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            keys = set(dg.AssetSelection.from_string(selection).resolve(graph))
    if not keys:
        known = ", ".join(sorted(key.path[-1] for key in graph.get_all_asset_keys()))
        raise InputError("selects no asset", field="SELECTION", value=selection, fix=f"assets are: {known}")
    return sorted(keys, key=lambda key: graph.toposorted_asset_keys.index(key))


def parts(
    definitions: dg.Definitions,
    keys: Sequence[dg.AssetKey],
    *,
    models: Sequence[str],
    frameworks: Sequence[str],
    families: Sequence[str],
) -> list[Part]:
    """The runs that materialize these assets: frameworks and families first, since every model stands on them."""
    graph = definitions.resolve_asset_graph()
    by_definition = [
        (partitions, tuple(key for key in keys if graph.get(key).partitions_def == definition))
        for partitions, definition in ((frameworks, FRAMEWORKS), (families, FAMILIES), (models, MODELS))
    ]
    return [Part(partition, assets) for partitions, assets in by_definition if assets for partition in partitions]


def run(
    project: Project, definitions: dg.Definitions, todo: Sequence[Part], console: Console, *, force: bool = False
) -> Generator[Outcome]:
    """Materialize part after part, with progress bars; yields each outcome as it is there.

    Assets that stand on what failed in an earlier part are left out; the outcome says so, and has no run id when
    none were left.
    """
    home = prepare_home(project)
    failed: list[Part] = []
    tags = {SCOPE_TAG: uuid.uuid4().hex} | ({FORCE_TAG: "true"} if force else {})
    job = definitions.resolve_implicit_global_asset_job_def()
    with quiet_instance(home) as instance, terminal_bars(console):
        for part in todo:
            kept = _left(definitions, part, failed)
            unrun = f"{len(part.assets) - len(kept)} assets not run, since what they stand on failed"
            if not kept:
                yield Outcome(part, "", unrun, 1)
                continue
            result = job.execute_in_process(
                run_config=_QUIET,
                instance=instance,
                partition_key=part.partition,
                asset_selection=list(kept),
                tags=tags,
                raise_on_error=False,
            )
            outcome = _outcome(part, result)
            failed += [part] if outcome.error else []
            yield outcome if outcome.error or kept == part.assets else replace(outcome, error=unrun, code=1)


def _left(definitions: dg.Definitions, part: Part, failed: Sequence[Part]) -> tuple[dg.AssetKey, ...]:
    """The assets of a part that do not stand on assets of another kind of partition that failed."""
    graph = definitions.resolve_asset_graph()
    kind = graph.get(part.assets[0]).partitions_def
    bad = [key for one in failed for key in one.assets if graph.get(key).partitions_def != kind]
    if not bad:
        return part.assets
    above = dg.AssetSelection.assets(*bad).downstream().resolve(graph)
    return tuple(key for key in part.assets if key not in above)


def _outcome(part: Part, result: dg.ExecuteInProcessResult) -> Outcome:
    if result.success:
        return Outcome(part, result.run_id)
    for event in result.all_events:
        error = event.event_specific_data.error if event.is_step_failure else None  # type: ignore[union-attr]
        if error is not None:
            cause = error.cause or error
            code = {BudgetError.__name__: 3, InputError.__name__: 2}.get(cause.cls_name or "", 1)
            _, _, message = cause.message.strip().partition(f"{cause.cls_name}: ")
            return Outcome(part, result.run_id, f"{event.step_key}: {message or cause.message}", code)
    return Outcome(part, result.run_id, "a check failed; see the run in Dagster", 1)
