"""Whether what the study says of machines is there: the home of rows, replies, Dagster's records, the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from influence_assets import records, replies
from influence_assets.homes import described
from influence_assets.project import Project
from resources.errors import InfluenceError


def examine_machines(project: Project) -> Iterator[tuple[bool, str]]:
    """A verdict and a line for each setting that is not the plain one. Looks at these servers and asks no model."""
    study = project.study
    if study.storage.kind != "files":
        yield _look(f"rows in {described(study.storage)}", lambda: _storage(project))
    if study.replies.kind != "sqlite":
        yield _look("replies in Postgres", lambda: _replies(project))
    if study.records.kind != "sqlite":
        yield _look("Dagster's records in Postgres", lambda: _records(project))
    if study.executor.kind == "ray":
        yield _look("steps on Ray", lambda: _cluster(project))
        if study.records.kind == "sqlite":
            yield (
                True,
                "note: Dagster's records are in SQLite; a cluster of several machines needs records: postgres",
            )
        if study.replies.kind == "sqlite":
            yield True, "note: replies are in SQLite; several machines that ask need replies: postgres"
        if study.storage.kind == "files":
            yield True, "note: rows are in files; a cluster of several machines needs storage: {kind: ducklake, ...}"


def _look(what: str, look: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, f"{what}: {look()}"
    except InfluenceError as error:
        return False, str(error)


def _storage(project: Project) -> str:
    from resources.ducklake import Address, Lake

    storage = project.study.storage
    lake = Lake(Address(storage.connection(), storage.folder(project.root)))
    try:
        return f"{lake.snapshot()} commits so far"
    finally:
        lake.close()


def _replies(project: Project) -> str:
    return f"version {replies.server(project.study.replies).version()} answers"


def _records(project: Project) -> str:
    return records.reached(project.study.records)


def _cluster(project: Project) -> str:
    from influence_assets.ray_steps import connect

    client = connect(project.study.executor)
    client.get_version()
    return "the job server answers"
