"""The budget: a hard stop that keeps what was done, over all that shares a scope."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources import ledger
from resources.budget import Budget, cost_at_most, cost_usd
from resources.errors import BudgetError
from resources.messages import Status, Usage
from resources.registry import Price
from resources.replyfile import ReplyFile
from tests.servers.asking import ask, layer, registry
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer, text

Start = Callable[[Script], ScriptedServer]
ONE_REPLY = (60 * 1.0 + 40 * 0.5 + 1 * 2.0) / 1e6
"""US dollars of one scripted reply of up to three characters at the prices of `asking.registry`."""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=30), st.floats(0.0, 5.0))
def test_spending_never_passes_the_cap_and_stops_only_when_nothing_more_fits(
    requests: list[tuple[float, float]], cap: float
) -> None:
    async def main() -> None:
        budget = Budget(cap)
        refused: list[float] = []

        async def one(upper: float, share: float) -> None:
            try:
                reservation = await budget.reserve(upper)
            except BudgetError:
                refused.append(budget.spent + upper)
                return
            assert budget.spent + budget.reserved <= cap + 1e-9
            await asyncio.sleep(0)
            budget.refresh(budget.spent + upper * share)
            budget.settle(reservation, upper * share)

        await asyncio.gather(*(one(*request) for request in requests))
        assert budget.spent <= cap + 1e-9
        assert abs(budget.reserved) < 1e-9
        assert all(wanted > cap for wanted in refused)

    asyncio.run(main())


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_cost_is_linear_and_cached_input_has_its_own_price(fresh: int, cached: int, output: int) -> None:
    price = Price(input=3.0, cached_input=0.5, output=15.0)
    expected = (3.0 * fresh + 0.5 * cached + 15.0 * output) / 1e6
    assert abs(cost_usd(Usage(fresh + cached, cached, output), price) - expected) < 1e-12


def test_the_upper_bound_is_one(scripted_server: Start) -> None:
    del scripted_server
    request = ask("word " * 400)
    real = Usage(input_tokens=420, output_tokens=512)
    price = Price(input=1.0, output=2.0)
    assert cost_at_most(request, price, 512) >= cost_usd(real, price)


def test_the_budget_stops_the_run_and_keeps_what_was_paid(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, "abc", delay=0.005))
    requests = [ask(f"{number:0>200}", max_tokens=4) for number in range(60)]
    cap = 30 * ONE_REPLY

    async def main(budget: float | None, run_id: str = "run") -> list[Status]:
        async with layer(
            registry(server.url, max_concurrency=4), tmp_path, budget_usd=budget, budget_scope="study", run_id=run_id
        ) as models:
            replies = await models.generate_many(requests)
        assert len(asyncio.all_tasks()) == 1
        return [reply.status for reply in replies]

    with pytest.raises(BudgetError, match="raise budget_usd"):
        asyncio.run(main(cap))
    paid = ledger.totals(ReplyFile(tmp_path / "replies.sqlite"), run_id="run")
    assert 20 <= paid.requests == len(server.calls) <= 30
    assert paid.cost_usd <= cap
    with pytest.raises(BudgetError, match="is used up"):
        asyncio.run(main(cap, "another process of the same study"))
    assert len(server.calls) == paid.requests, "what was spent before counts"
    assert asyncio.run(main(None)) == [Status.OK] * 60
    assert len(server.calls) == 60, "nothing was paid twice"


def test_prompts_that_cost_more_than_was_thought_are_learned_from(scripted_server: Start, tmp_path: Path) -> None:
    """The server bills 100 tokens for a prompt of fifteen characters: only the first few may pass the cap."""
    server = scripted_server(lambda asked: text(asked, "abc", delay=0.005))

    async def main() -> None:
        async with layer(registry(server.url, max_concurrency=2), tmp_path, budget_usd=20 * ONE_REPLY) as models:
            await models.generate_many([ask(f"q{number}", max_tokens=4) for number in range(60)])

    with pytest.raises(BudgetError):
        asyncio.run(main())
    assert 15 <= len(server.calls) <= 20 + 2 * 4


def test_a_budget_of_nothing_still_serves_what_is_remembered_and_what_is_free(
    scripted_server: Start, tmp_path: Path
) -> None:
    server = scripted_server(lambda asked: text(asked, "abc"))

    async def main(price: dict[str, float], budget: float | None) -> None:
        async with layer(registry(server.url, price=price), tmp_path, budget_usd=budget) as models:
            await models.generate(ask("q"))

    asyncio.run(main({}, 0.0))
    asyncio.run(main({"input": 5.0}, 0.0))
    assert len(server.calls) == 1


def test_two_layers_of_one_scope_see_each_others_spending(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(_slow)
    models_ = registry(server.url, max_concurrency=2)

    async def one(name: str) -> int:
        done = 0
        async with layer(models_, tmp_path, run_id=name, budget_usd=20 * ONE_REPLY, budget_scope="backfill") as models:
            try:
                for number in range(30):
                    await models.generate(ask(f"{name}{number:0>200}", max_tokens=4))
                    done += 1
            except BudgetError:
                return done
        raise AssertionError("the budget did not stop this layer")

    async def main() -> int:
        return sum(await asyncio.gather(one("a"), one("b")))

    # The cap can be passed by what the other layer has in flight: one request here.
    assert 18 <= asyncio.run(main()) <= 21


def _slow(asked: Asked) -> Answer:
    return text(asked, "abc", delay=0.005)
