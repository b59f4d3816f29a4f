"""Asking many conditions at once: every answer belongs to its question, however requests are cut into calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from influence_assets.features import trait_asking
from influence_assets.features.items import Half, TraitItem
from influence_assets.features.orders import Option, Orders, option_orders
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint, Under, ask_traits
from influence_assets.features.trait_questions import TraitQuestion, load_trait_prompt, trait_questions
from influence_assets.features.trait_tables import TraitAnswer
from influence_assets.notes import Notes
from resources.messages import Estimator, Message, OptionProbabilities, Request, Status
from resources.steering import Push
from tests.features.stimulus_files import DATA

PROMPT = load_trait_prompt(DATA)
PUSH = Push("direction.safetensors", 0.2)
SYSTEM = (Message(role="system", content="you are somebody"),)


class Likes(Notes):
    """Chooses the letter of the option `wanted` when steered, and the first letter otherwise."""

    def __init__(self, wanted: str) -> None:
        super().__init__(lambda _: "")
        self._wanted = wanted
        self.calls = 0

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        await super().choose(request, options)
        lines = request.messages[-1].content.splitlines()
        place = next(n for n, line in enumerate(lines[1:5]) if line.endswith(self._wanted)) if request.steering else 0
        shares = tuple(0.7 if n == place else 0.1 for n in range(4))
        return OptionProbabilities("r", tuple(options), shares, 0.9, Status.OK, Estimator.LOGPROBS)

    async def choose_many(self, requests, options, on_progress=None) -> list[OptionProbabilities]:  # type: ignore[no-untyped-def]
        self.calls += 1
        answers = [await self.choose(request, options) for request in requests]
        if on_progress:
            on_progress(len(requests), len(requests))
        return answers


def questions(trait: str) -> list[TraitQuestion]:
    items = [
        TraitItem(f"{trait}{n}", "s", trait, "x", "", ("one", "two"), ("three", "four"), Half.HELDOUT) for n in range(2)
    ]
    return trait_questions(PROMPT, items, option_orders(Orders.CYCLIC))


TRIALS = [
    (UNSTEERED, [*questions("warmth"), *questions("pride")]),
    (Under("pushed", (PUSH,), 0.2), questions("warmth")),
    (Under("asked", system=SYSTEM), questions("pride")),
]


def ask(models: Likes, progress: list[tuple[int, int]] | None = None) -> list[TraitAnswer]:
    report = None if progress is None else lambda done, total: progress.append((done, total))
    return asyncio.run(ask_traits(models, Checkpoint("m", 3, "adapter"), TRIALS, PROMPT.options, report))


def test_answers_are_of_options_and_not_of_letters() -> None:
    models = Likes("three")
    rows = ask(models)
    assert len(rows) == 16 + 8 + 8
    pushed = [row for row in rows if row.condition == "pushed"]
    assert [(row.p_low1, row.p_high1) for row in pushed] == [(pytest.approx(0.7), pytest.approx(0.1))] * 8
    unsteered = [row for row in rows if row.condition == "unsteered"]
    firsts = [Option[row.order.split()[0].upper()] for row in unsteered]
    for row, first in zip(unsteered, firsts, strict=True):
        assert [row.p_high1, row.p_high2, row.p_low1, row.p_low2][first] == pytest.approx(0.7)
    assert {(row.condition, row.coefficient) for row in rows} == {("unsteered", None), ("pushed", 0.2), ("asked", None)}
    assert {(row.model, row.iteration) for row in rows} == {("m", 3)}
    requests = [plan.request for plan in models.planned]
    assert {request.adapter for request in requests} == {"adapter"}
    assert [bool(request.steering) for request in requests] == [row.condition == "pushed" for row in rows]
    assert [request.messages[0].role == "system" for request in requests] == [row.condition == "asked" for row in rows]


@pytest.mark.parametrize("chunk", [1, 9, 17, 1000])
def test_the_size_of_calls_changes_no_row(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ask(Likes("three"))
    monkeypatch.setattr(trait_asking, "CHUNK", chunk)
    models, progress = Likes("three"), []
    assert ask(models, progress) == whole
    assert models.calls == {1: 3, 9: 2, 17: 2, 1000: 1}[chunk]
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    assert progress[-1] == (32, 32)


def test_no_trials_are_no_rows() -> None:
    assert asyncio.run(ask_traits(Likes("one"), Checkpoint("m"), [], PROMPT.options)) == []
