"""The model layer as the families see it: asked once, remembered, accounted for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from resources import ledger
from resources.errors import InputError
from resources.estimate import Estimate, Planned, estimate
from resources.messages import Estimator, Role, Status
from resources.models import Event, Settings, identity_of
from resources.registry import ModelEntry
from resources.replyfile import ReplyFile
from tests.servers.asking import QUICK, ask, layer, registry
from tests.servers.scripted import (
    Answer,
    Asked,
    Script,
    ScriptedServer,
    error,
    openai_logprobs,
    openai_text,
    text,
)

Start = Callable[[Script], ScriptedServer]
RATINGS = tuple(str(rating) for rating in range(1, 11))
EIGHT = [("8", math.log(0.6)), (" 8", math.log(0.1)), ("10", math.log(0.2))]


def echo(asked: Asked) -> Answer:
    return openai_logprobs(EIGHT) if asked.wants_logprobs else text(asked, f"re: {asked.last}")


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_a_rerun_asks_nobody_and_gives_the_same_rows(scripted_server: Start, tmp_path: Path, model: str) -> None:
    server = scripted_server(echo)
    requests = [ask(f"q{number % 8}", model=model, sample=number % 2) for number in range(12)]

    async def main(run_id: str) -> tuple[object, object]:
        async with layer(registry(server.url), tmp_path, run_id=run_id) as models:
            return await models.generate_many(requests), await models.choose_many(requests, RATINGS)

    first, asked = asyncio.run(main("one")), len(server.calls)
    again = asyncio.run(main("two"))
    assert len(server.calls) == asked
    for before, after in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):  # type: ignore[misc]
        assert after.cached
        assert repr(before).replace("cached=False", "cached=True") == repr(after)
    rows = ledger.rows_for(ReplyFile(tmp_path / "replies.sqlite"), run_id="two", asset="asset", partition="gpt")
    assert rows.height == 24
    assert rows["cached"].all()
    assert rows["cost"].sum() == 0


def test_replies_come_in_the_order_of_the_requests_with_progress(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, asked.last, delay=0.02 * (asked.number % 3)))
    seen: list[tuple[int, int]] = []

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            replies = await models.generate_many(
                [ask(f"q{n}", model=("gpt", "claude")[n % 2]) for n in range(30)],
                lambda *progress: seen.append(progress),
            )
            assert [reply.text for reply in replies] == [f"q{n}" for n in range(30)]
            assert await models.generate_many([]) == []

    asyncio.run(main())
    assert [done for done, _ in seen] == list(range(31))
    assert {total for _, total in seen} == {30}


def test_identical_requests_in_flight_are_asked_once(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, "same", delay=0.05))

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            replies = await asyncio.gather(
                *(models.generate(ask("q")) for _ in range(9)), models.generate_many([ask("q")] * 5)
            )
            single, many = replies[:9], replies[9]
            assert sum(not reply.cached for reply in (*single, *many)) == 1  # type: ignore[misc, union-attr]

    asyncio.run(main())
    assert len(server.calls) == 1
    sums = ledger.totals(ReplyFile(tmp_path / "replies.sqlite"), run_id="run")
    assert (sums.requests, sums.cached, sums.input_tokens) == (14, 13, 100)


def test_who_waits_takes_over_when_the_asker_is_stopped(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, "late", delay=0.1))

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            first, second = (asyncio.create_task(models.generate(ask("q"))) for _ in range(2))
            while not server.calls:
                await asyncio.sleep(0.005)
            first.cancel()
            assert (await second).text == "late"
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert len(server.calls) == 2


def test_another_sample_is_another_draw_with_another_seed(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: openai_text(str(asked.body["seed"])))

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            replies = await models.generate_many([ask("q", sample=sample, seed=5) for sample in range(20)])
            assert len({reply.text for reply in replies}) == len({reply.request_id for reply in replies}) == 20

    asyncio.run(main())


def test_a_second_model_never_sees_the_first_ones_replies(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, asked.body["model"]))

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            assert [(await models.generate(ask("q", model=name))).text for name in ("gpt", "claude")] == [
                "gpt-x",
                "claude-x",
            ]

    asyncio.run(main())


def test_a_distribution_and_a_void_answer(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(
        lambda asked: openai_logprobs(EIGHT if asked.last == "clear" else [("Well", -0.2), ("8", math.log(0.1))])
    )

    async def main(void_below: float) -> None:
        settings = Settings(void_below=void_below, patience=QUICK.patience)
        async with layer(registry(server.url), tmp_path, settings=settings) as models:
            clear, vague = await models.choose_many([ask("clear"), ask("vague")], RATINGS)
            assert clear.status is Status.OK
            assert math.isclose(clear.p("8"), 0.7 / 0.9)
            assert math.isclose(clear.expected(), (8 * 0.7 + 10 * 0.2) / 0.9)
            assert math.isclose(vague.mass, 0.1)
            assert vague.status is (Status.VOID if void_below > 0.1 else Status.OK)
            assert (vague.probabilities == ()) == (void_below > 0.1)

    asyncio.run(main(0.5))
    asyncio.run(main(0.05))
    assert len(server.calls) == 2, "another threshold reads the same record"


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_where_the_first_token_cannot_tell_five_draws_do(scripted_server: Start, tmp_path: Path, model: str) -> None:
    def digits(asked: Asked) -> Answer:
        if asked.wants_logprobs:
            return openai_logprobs([("1", math.log(0.8)), ("7", math.log(0.1))])
        return text(asked, ["1", "10", "10", "10", "Hm"][asked.number % 5])

    server = scripted_server(digits)

    async def main() -> None:
        async with layer(registry(server.url), tmp_path) as models:
            chosen = await models.choose(ask("q", model=model, temperature=0.3), RATINGS)
            assert chosen.estimator is Estimator.SAMPLED
            assert chosen.status is Status.OK
            assert math.isclose(chosen.mass, 0.8)
            assert math.isclose(chosen.p("10"), 0.75)
            assert (await models.choose(ask("q", model=model, temperature=0.3), RATINGS)).cached

    asyncio.run(main())
    probes = 1 if model == "gpt" else 0
    assert len(server.calls) == 5 + probes
    assert all(call.body.get("temperature", 1.0) == 1.0 for call in server.calls)
    rows = ledger.rows_for(ReplyFile(tmp_path / "replies.sqlite"), run_id="run", asset="asset", partition="gpt")
    assert sorted(rows["kind"]) == sorted(["draw"] * 5 + ["estimate"] * 2 + ["choose"] * probes)
    assert rows["input_tokens"].sum() == 100 * (5 + probes), "every draw is paid once"


def test_a_draw_that_fails_does_not_lose_the_others(scripted_server: Start, tmp_path: Path) -> None:
    failing = True

    def script(asked: Asked) -> Answer:
        return error(400) if failing and asked.number == 3 else text(asked, "yes")

    server = scripted_server(script)

    async def main() -> tuple[Status, int]:
        async with layer(registry(server.url), tmp_path) as models:
            chosen = await models.choose(ask("q", model="claude"), ("yes", "no"))
            return chosen.status, len(server.calls)

    assert asyncio.run(main()) == (Status.GAVE_UP, 5)
    failing = False
    assert asyncio.run(main()) == (Status.OK, 6)


def test_what_was_given_up_is_a_row_and_is_asked_again(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: error(400, "too long") if "long" in asked.last else text(asked, "ok"))
    events: list[Event] = []

    async def main() -> None:
        async with layer(registry(server.url), tmp_path, on_event=events.append) as models:
            replies = await models.generate_many([ask("long"), ask("short")])
            assert [reply.status for reply in replies] == [Status.GAVE_UP, Status.OK]
            assert "too long" in replies[0].detail

    asyncio.run(main())
    asyncio.run(main())
    assert len(server.calls) == 3
    assert [event.kind for event in events] == ["gave_up", "gave_up"]
    by_status = ledger.totals(ReplyFile(tmp_path / "replies.sqlite"), run_id="run").by_status
    assert dict(by_status) == {"gave_up": 2, "ok": 2}


def test_a_role_that_a_model_may_not_play_and_an_unknown_model_are_input_errors(tmp_path: Path) -> None:
    models_ = registry("http://127.0.0.1:9", roles=["agent"])

    async def main() -> None:
        async with layer(models_, tmp_path) as models:
            with pytest.raises(InputError, match=r"roles.*preference.*add the role"):
                await models.generate(ask(role=Role.PREFERENCE))
            with pytest.raises(InputError, match="no such model"):
                await models.choose_many([ask(model="who")], ("a", "b"))

    asyncio.run(main())


def test_an_account_never_carries_more_than_its_concurrency(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, "x", delay=0.01))

    async def main() -> None:
        async with layer(registry(server.url, max_concurrency=3), tmp_path) as models:
            await models.generate_many([ask(f"q{n}") for n in range(40)])

    asyncio.run(main())
    assert server.most_in_flight == 3


def test_identity_needs_no_key_and_names_everything(tmp_path: Path) -> None:
    entry = ModelEntry(name="n", provider="openai", model="m", revision="r", api_key_env="NOT_SET_ANYWHERE")
    assert identity_of(entry, tmp_path) == ["openai", "m", "r", "", "https://api.openai.com/v1"]
    other = entry.model_copy(update={"base_url": "http://elsewhere/v1"})
    assert identity_of(other, tmp_path) != identity_of(entry, tmp_path)


def test_an_estimate_counts_what_is_not_remembered_and_asks_nobody(scripted_server: Start, tmp_path: Path) -> None:
    server = scripted_server(echo)
    models_ = registry(server.url)
    planned = [
        *(Planned(ask("x" * 400, sample=n, max_tokens=100)) for n in range(10)),
        *(Planned(ask("x" * 400), RATINGS) for _ in range(3)),
        Planned(ask("y", model="claude"), RATINGS),
    ]

    def now() -> dict[str, Estimate]:
        return estimate(planned, models_, ReplyFile(tmp_path / "replies.sqlite"), root=tmp_path)

    before = now()
    assert not server.calls
    assert (before["gpt"].requests, before["gpt"].output_tokens) == (11, 1001), "the same question counts once"
    assert before["claude"].requests == 5, "draws count singly"
    assert math.isclose(before["gpt"].cost_usd, (before["gpt"].input_tokens + 2 * 1001) / 1e6)

    async def main() -> None:
        async with layer(models_, tmp_path) as models:
            await models.generate_many([plan.request for plan in planned[:4]])

    asyncio.run(main())
    assert (now()["gpt"].requests, now()["gpt"].cached) == (7, 4)
