"""Several runs at once: processes that take partitions one after the other and write to the same Dagster records.

A process that dies (killed, out of memory) takes the partitions with it that were given out and not finished; each is
an outcome with an error, and the next run goes on from what was stored.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from influence_assets.one_run import Outcome, Part, run_part
from influence_assets.progress import reporter


def run_parts(root: Path, parts: Sequence[Part], tags: Mapping[str, str], jobs: int) -> Iterator[Outcome]:
    """Outcomes in the order in which the parts end. Dagster's home must be prepared."""
    if not parts:
        return
    report = reporter("partitions", lambda _: None)
    context = multiprocessing.get_context("spawn")  # a fork would copy threads that hold locks
    where = (str(root), os.environ["DAGSTER_HOME"])
    pool = ProcessPoolExecutor(min(jobs, len(parts)), mp_context=context, initializer=_prepare, initargs=where)
    try:
        given = {pool.submit(_run, part, dict(tags)): part for part in parts}
        for done, future in enumerate(as_completed(given), start=1):
            report(done, len(parts))
            yield _outcome_of(given[future], future)
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome_of(part: Part, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(part, "", "not finished: a process that ran partitions ended (killed, or out of memory)", 1)


def _prepare(root: str, home: str) -> None:
    """In a new process, before anything of the project is imported."""
    os.environ["INFLUENCE_ROOT"], os.environ["DAGSTER_HOME"] = root, home
    # Processes that share cores are many times slower with several threads each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _run(part: Part, tags: Mapping[str, str]) -> Outcome:
    from influence_assets.definitions import defs
    from influence_assets.interrupts import noticed
    from influence_assets.runs import quiet_instance

    with noticed(), quiet_instance(Path(os.environ["DAGSTER_HOME"])) as instance:
        return run_part(defs, instance, part, tags)
