"""What the study says of features, as the plain functions want it: which checkpoint, which factors, items, layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from influence_assets.features.backgrounds import Factor, Kind, load_backgrounds, of_kind
from influence_assets.features.items import Half, TraitItem, load_items
from influence_assets.features.trait_asking import Checkpoint
from influence_assets.features.trait_questions import TraitQuestion
from influence_assets.influence import tables as influence
from influence_assets.influence.records import CheckpointRow
from influence_assets.project import Project
from influence_assets.rows import from_frame
from influence_assets.standing import Standing
from influence_assets.step import Step
from resources.content import Json
from resources.errors import InputError
from resources.models import identity_of
from resources.registry import ModelEntry, ProviderName
from resources.tables import Table

if TYPE_CHECKING:
    from resources.local.opened import OpenModel


def no_inside(entry: ModelEntry) -> str:
    """Why a model of the registry cannot be looked into; empty where it can."""
    if entry.provider is not ProviderName.LOCAL:
        return f"{entry.name} is asked through an API; add an entry with provider: local to look inside it"
    return ""


def why_not(step: Step, k: int) -> str:
    """Why a model's inside cannot be looked into at iteration k; empty where it can."""
    reason = no_inside(step.project.registry[step.partition])
    if not reason and k and not from_frame(CheckpointRow, step.read(influence.CHECKPOINTS, iteration=k)):
        return f"{step.partition} has no checkpoint {k}; it is not trained in this study"
    return reason


def checkpoint_of(step: Step, k: int) -> Checkpoint:
    """The checkpoint of iteration k; asks for one that is there (see `why_not`)."""
    if not k:
        return Checkpoint(step.partition)
    row = from_frame(CheckpointRow, step.read(influence.CHECKPOINTS, iteration=k))[0]
    return Checkpoint(step.partition, k, row.adapter_path)


def weights_of(step: Step, checkpoint: Checkpoint, adapter_sha256: str | None) -> Json:
    """Names a checkpoint's weights and its adapter's files."""
    return [identity_of(step.project.registry[checkpoint.model], step.project.root), adapter_sha256]


def adapter_hash(step: Step, k: int) -> str | None:
    """The hash of the adapter of iteration k."""
    return from_frame(CheckpointRow, step.read(influence.CHECKPOINTS, iteration=k))[0].adapter_sha256 if k else None


@contextmanager
def opened_checkpoint(step: Step, checkpoint: Checkpoint) -> Iterator[OpenModel]:
    """The checkpoint in memory, its adapter put on."""
    from resources.local.opened import opened

    with opened(step.project.registry[checkpoint.model], step.project.root, checkpoint.adapter) as model:
        yield model


def study_factors(project: Project) -> tuple[Factor, ...]:
    """The factors of a project's study."""
    return load_backgrounds(project.data, project.study.features.backgrounds)


def factors_of(step: Standing) -> tuple[Factor, ...]:
    """The study's factors."""
    return study_factors(step.project)


def long_term(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """The factors that biographies are written of."""
    return of_kind(factors, Kind.LONG_TERM)


def items_of(step: Standing) -> tuple[TraitItem, ...]:
    """The study's trait items."""
    return load_items(step.project.data, step.study.features.trait_items, seed=step.study.seed)


def tested_traits(step: Standing, items: tuple[TraitItem, ...]) -> tuple[str, ...]:
    """The traits that are tested: all that have items, or those of them that the study steers. Raises `InputError` for
    a factor that does not exist."""
    traits = tuple(dict.fromkeys(item.trait for item in items))
    wanted = step.study.features.steering.factors
    known = {factor.name for factor in factors_of(step)}
    for name in wanted:
        if name not in known:
            raise InputError(
                "no such factor",
                place="data/study.yaml",
                field="features.steering.factors",
                value=name,
                fix=f"there are: {', '.join(sorted(known))}",
            )
    return tuple(trait for trait in traits if trait in wanted) or traits


def held_out(questions: list[TraitQuestion], limit: int | None) -> list[TraitQuestion]:
    """Questions of held-out items, of the first `limit` items of each trait."""
    return _of_half(questions, Half.HELDOUT, limit)


def for_selection(questions: list[TraitQuestion], limit: int | None) -> list[TraitQuestion]:
    """Questions of items of the selection half, of the first `limit` items of each trait."""
    return _of_half(questions, Half.SELECTION, limit)


def _of_half(questions: list[TraitQuestion], half: Half, limit: int | None) -> list[TraitQuestion]:
    kept: dict[str, dict[str, None]] = {}
    chosen = []
    for question in questions:
        item = question.item
        ids = kept.setdefault(item.trait, {})
        if item.half is half and (item.id in ids or limit is None or len(ids) < limit):
            ids[item.id] = None
            chosen.append(question)
    return chosen


def no_rows(step: Step, *tables: Table) -> dict[Table, pl.DataFrame]:
    """Empty tables, for a model that cannot be looked into."""
    return {table: step.project.warehouse.frame(table, []) for table in tables}
