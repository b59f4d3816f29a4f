"""Running assets from the command line, on the same Dagster instance that the UI shows.

One Dagster run holds partitions of one definition only, so a selection runs as one run per framework, one per family
of environments, and then one per model. A failed partition does not stop the others, but no model's asset is run that
stands on a framework or a family that failed (a failed blocking check is a failure).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from rich.console import Console

from influence_assets import records
from influence_assets.freshness import Freshness
from influence_assets.one_run import Outcome, Part, run_part
from influence_assets.partitions import FAMILIES, FRAMEWORKS, MODELS
from influence_assets.progress import terminal_bars
from influence_assets.project import Project
from influence_assets.recipes import RECIPES
from influence_assets.step import FORCE_TAG, SCOPE_TAG
from influence_assets.step_pool import kept_processes
from influence_assets.watching import observe_now
from influence_assets.workers import run_parts
from resources.errors import InputError

# Dagster puts the folder into a URL unquoted: its records would land in another folder, or nowhere.
_NOT_IN_A_HOME = re.compile(r"\?|%[0-9A-Fa-f]{2}")


def prepare_home(project: Project) -> Path:
    """Dagster's home inside the project, with our settings; `DAGSTER_HOME` points there from now on."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(project.home)))
    if found := _NOT_IN_A_HOME.search(str(home.resolve())):
        fix = f"rename the folder that has {found[0]} in its name, or set DAGSTER_HOME to another one"
        raise InputError("Dagster cannot keep its records here", field="DAGSTER_HOME", value=str(home), fix=fix)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml")
    records.follow(home / "dagster.yaml", project.study.records)
    return home


def quiet_instance(home: Path) -> dg.DagsterInstance:
    """Dagster's instance in this home, with an event log that keeps its files open, and without its capture of what a
    step prints.

    The capture starts four processes for every step, stands between the progress bars and the terminal, and answers
    Ctrl-C with tracebacks of its own.
    """
    none = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    from influence_assets.event_log import kept  # brings SQLAlchemy

    return dg.DagsterInstance.from_ref(
        kept(InstanceRef.from_dir(str(home.resolve()), overrides={"compute_logs": none}))
    )


def select(definitions: dg.Definitions, selection: str) -> list[dg.AssetKey]:
    """Asset keys of a Dagster selection string such as `*`, `group:personas` or `+key:steerability/matrix`."""
    graph = definitions.resolve_asset_graph()
    # A bare name means the asset of that name, whatever its group.
    made = graph.materializable_asset_keys
    keys = {key for key in made if selection in ("*", key.path[-1])}
    if not keys:
        # Dagster's own error for a bad selection is a page long and does not say what exists.
        with contextlib.suppress(dg.DagsterError), warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            keys = set(dg.AssetSelection.from_string(selection).resolve(graph)) & made
    if not keys:
        known = ", ".join(sorted(key.path[-1] for key in made))
        raise InputError("selects no asset", field="SELECTION", value=selection, fix=f"assets are: {known}")
    return sorted(keys, key=lambda key: graph.toposorted_asset_keys.index(key))


def parts(
    keys: Sequence[dg.AssetKey],
    *,
    models: Sequence[str],
    frameworks: Sequence[str],
    families: Sequence[str],
) -> list[Part]:
    """The runs that materialize these assets: frameworks and families first, since every model stands on them."""
    # Told apart by identity: a model and a family of the same name make equal definitions.
    by_definition = [
        (partitions, tuple(key for key in keys if RECIPES[key].partitions is definition))
        for partitions, definition in ((frameworks, FRAMEWORKS), (families, FAMILIES), (models, MODELS))
    ]
    return [Part(partition, assets) for partitions, assets in by_definition if assets for partition in partitions]


def run(
    project: Project,
    definitions: dg.Definitions,
    todo: Sequence[Part],
    console: Console,
    *,
    force: bool = False,
    jobs: int = 1,
) -> Generator[Outcome]:
    """Materialize part after part, with progress bars; yields each outcome as it is there.

    With `jobs`, as many parts of one kind of partition run at a time, each in a process of its own, and outcomes come
    as parts end; of a part that is alone as many assets that do not stand on each other. Assets that stand on what
    failed in an earlier part are left out; the outcome says so, and has no run id when none were left.
    """
    home = prepare_home(project)
    # Where their home has changed, rows and replies are brought over now, before steps elsewhere ask for them.
    _ = project.warehouse, project.replies
    failed: list[Part] = []
    tags = {SCOPE_TAG: uuid.uuid4().hex} | ({FORCE_TAG: "true"} if force else {})
    stages = _stages(todo)
    workers = _workers(definitions, project, stages, jobs, force=force)
    with quiet_instance(home) as instance, terminal_bars(console), kept_processes(instance, workers):
        observe_now(instance, project)
        for stage in stages:
            kept = {part: replace(part, assets=_left(definitions, part, failed)) for part in stage}
            yield from (Outcome(part, "", _unrun(part), 1) for part, ready in kept.items() if not ready.assets)
            whole = {ready: part for part, ready in kept.items() if ready.assets}
            outcomes: Iterator[Outcome]
            if jobs == 1 or len(whole) == 1:
                outcomes = (run_part(definitions, instance, part, tags, workers) for part in whole)
            else:
                outcomes = run_parts(project.root, list(whole), tags, jobs)
            for outcome in outcomes:
                failed += [outcome.part] if outcome.error else []
                cut = outcome.part != whole[outcome.part] and not outcome.error
                yield replace(outcome, error=_unrun(whole[outcome.part], outcome.part), code=1) if cut else outcome


def _stages(todo: Sequence[Part]) -> list[list[Part]]:
    """Parts of one kind of partition together: they do not stand on each other."""
    return [list(group) for _, group in groupby(todo, lambda part: id(RECIPES[part.assets[0]].partitions))]


def _workers(
    definitions: dg.Definitions, project: Project, stages: Sequence[Sequence[Part]], jobs: int, *, force: bool
) -> int:
    """How many processes make assets of one part at once; 0 where no part has assets to compute that do not stand on
    each other, or others than this machine's processes run them."""
    executor, graph = project.study.executor, definitions.resolve_asset_graph()
    at_once = max(jobs, executor.at_once)
    if executor.kind == "ray" or at_once == 1:
        return 0
    alone = [part for stage in stages if jobs == 1 or len(stage) == 1 for part in stage]
    # What is kept as it is takes less than processes take to start.
    fresh = Freshness(project)
    computed = ([key for key in part.assets if force or not fresh.is_fresh((key, part.partition))] for part in alone)
    chains = (all(above in graph.get(below).parent_keys for above, below in pairwise(keys)) for keys in computed)
    return 0 if all(chains) else at_once


def _unrun(part: Part, ran: Part | None = None) -> str:
    left = len(part.assets) - (len(ran.assets) if ran else 0)
    return f"{left} assets not run, since what they stand on failed"


def _left(definitions: dg.Definitions, part: Part, failed: Sequence[Part]) -> tuple[dg.AssetKey, ...]:
    """The assets of a part that do not stand on assets of another kind of partition that failed."""
    graph = definitions.resolve_asset_graph()
    kind = RECIPES[part.assets[0]].partitions
    bad = [key for one in failed for key in one.assets if RECIPES[key].partitions is not kind]
    if not bad:
        return part.assets
    above = dg.AssetSelection.assets(*bad).downstream().resolve(graph)
    return tuple(key for key in part.assets if key not in above)
