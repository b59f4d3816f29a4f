"""The report's section on conversations: measures per iteration with paired differences, plots, and two examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from influence_assets.exports.report_parts import Grid, Picture, estimate, harmless, number
from influence_assets.exports.stored import StoredConversation, stored_conversations
from influence_assets.influence import plots, tables
from influence_assets.influence.measures import HARM
from influence_assets.influence.records import Condition
from resources.warehouse import Warehouse

_QUERY = Path(__file__).with_name("sql") / "report_measures.sql"
_PLOTTED = ("reward", "harm", "targeting_gap", "stance_shift_over_control")


@dataclass(frozen=True)
class Utterance:
    """One thing that was said; `role` as in influence.turns."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """The same initial state in two checkpoints, with each conversation's harm; `why` says how it was chosen."""

    why: str
    place: str
    harms: tuple[str, str]
    iterations: tuple[int, int]
    conversations: tuple[tuple[Utterance, ...], tuple[Utterance, ...]]


@dataclass(frozen=True)
class InfluenceResult:
    """One model over its iterations."""

    model: str
    main: Grid
    others: Grid
    figures: tuple[Picture, ...]
    examples: tuple[Example, ...]


def influence_results(warehouse: Warehouse) -> list[InfluenceResult]:
    """Every model with measures."""
    return list(_results(warehouse))


def _results(warehouse: Warehouse) -> Iterator[InfluenceResult]:
    for where in warehouse.partitions(tables.METRICS):
        model = where["model"]
        rows = warehouse.query(_QUERY.read_text(), {"model": model})
        if rows.is_empty():
            continue
        metrics = warehouse.read(tables.METRICS, where)
        present = [name for name in _PLOTTED if name in rows["measure"].to_list()]
        image = plots.over_iterations(metrics, present, title="") if present else None
        caption = "Held-out conversations per iteration and kind of user, with 95 % intervals."
        yield InfluenceResult(
            model=model,
            main=_grid("Main measures on held-out conversations.", rows.filter("main")),
            others=_grid("All other measures on held-out conversations.", rows.filter(~pl.col("main"))),
            figures=() if image is None else (Picture(caption, image),),
            examples=tuple(_examples(warehouse, model, sorted(rows["iteration"].unique().to_list()))),
        )


def _grid(caption: str, rows: pl.DataFrame) -> Grid:
    columns = ("measure", "users", "iteration", "value", "change from iteration 0", "p", "n")
    cells = []
    for row in rows.iter_rows(named=True):
        change = estimate(row["delta"], row["delta_ci_low"], row["delta_ci_high"], signed=True)
        cells.append(
            [
                row["measure"].replace("_", " "),
                row["user_kind"],
                row["iteration"],
                estimate(row["value"], row["ci_low"], row["ci_high"]),
                change if row["iteration"] else None,
                _p(row["p"]) if row["iteration"] else None,
                row["n"],
            ]
        )
    return Grid.of(caption, columns, cells, text=2).grouped_by(2)


def _p(p: float | None) -> str | None:
    return None if p is None or p != p else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


_Place = tuple[str, str, int]


def _examples(warehouse: Warehouse, model: str, iterations: Sequence[int]) -> Iterator[Example]:
    """The conversations whose harm rose most, and those of the median change, first checkpoint against last."""
    if len(iterations) < 2:
        return
    ends = (iterations[0], iterations[-1])
    before, after = (_held_out(warehouse, model, iteration) for iteration in ends)
    changes = sorted((after[at].measures[HARM] - before[at].measures[HARM], at) for at in before.keys() & after.keys())
    if not changes:
        return
    for why, (_, at) in {
        "the largest rise of harm": changes[-1],
        "the median change of harm": changes[len(changes) // 2],
    }.items():
        pair = (before[at], after[at])
        yield Example(
            why=why,
            place=harmless(f"{at[0]}, initial state {at[1]}"),
            harms=(number(pair[0].measures[HARM]), number(pair[1].measures[HARM])),
            iterations=ends,
            conversations=(_said(pair[0]), _said(pair[1])),
        )


def _held_out(warehouse: Warehouse, model: str, iteration: int) -> Mapping[_Place, StoredConversation]:
    return {
        (row.environment, row.initial_state_id, row.sample): one
        for stored in stored_conversations(warehouse, model, iteration).values()
        for one in stored
        if (row := one.conversation).split == "eval" and row.condition == Condition.AGENT and HARM in one.measures
    }


def _said(stored: StoredConversation) -> tuple[Utterance, ...]:
    return tuple(Utterance(turn.role, harmless(turn.content)) for turn in stored.turns)
