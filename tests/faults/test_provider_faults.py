"""A failing provider costs time, not data: every fault of the list, alone and in a storm."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resources import ledger
from resources.messages import Status
from resources.models import Settings
from resources.replyfile import ReplyFile
from resources.trying import Patience
from tests.scale import LONG, scaled
from tests.servers.asking import QUICK, ask, layer, registry
from tests.servers.faulty import FAULTS, faulty, right
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer, ServerProcess, error, text

Start = Callable[[Script], ScriptedServer]
# A try that the server lets hang takes all of `attempt_s`; a busy machine may need as long for one that goes well.
PATIENCE = Patience(attempt_s=scaled(4, 1), deadline_s=60.0, base_s=0.05, cap_s=0.5, max_retry_after_s=0.2)
STORM = Settings(patience=PATIENCE)
CALLS = scaled(1_000, 10_000)


@pytest.mark.parametrize("fault", range(len(FAULTS)))
@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_each_fault_is_survived(scripted_server: Start, tmp_path: Path, fault: int, model: str) -> None:
    server = scripted_server(lambda asked: FAULTS[fault](asked) if asked.number == 0 else right(asked))
    quick = Settings(patience=Patience(attempt_s=1.0, deadline_s=10.0, base_s=0.01, cap_s=0.1, max_retry_after_s=0.2))

    async def main() -> None:
        async with layer(registry(server.url), tmp_path, settings=quick) as models:
            reply = await models.generate(ask("q", model=model))
            assert (reply.status, reply.text, reply.retries) == (Status.OK, "re: q", 1)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert ledger.totals(ReplyFile(tmp_path / "replies.sqlite"), run_id="run").retries == 1


def test_an_absurd_retry_after_is_waited_for_no_longer_than_is_sane(scripted_server: Start, tmp_path: Path) -> None:
    absurd = error(429, headers={"retry-after": "86400"})
    server = scripted_server(lambda asked: absurd if asked.number == 0 else right(asked))

    async def main() -> float:
        async with layer(registry(server.url), tmp_path) as models:
            began = time.monotonic()
            assert (await models.generate(ask("q"))).status is Status.OK
            return time.monotonic() - began

    assert QUICK.patience.max_retry_after_s <= asyncio.run(main()) < 2.0


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_one_bad_request_never_takes_its_neighbours_with_it(scripted_server: Start, tmp_path: Path, model: str) -> None:
    """One is refused for good, one never answers, one never makes sense; all others are answered."""

    def script(asked: Asked) -> Answer:
        if asked.last == "bad":
            return error(400)
        if asked.last == "hangs":
            return text(asked, "", delay=60.0)
        return Answer(b"{") if asked.last == "nonsense" else right(asked)

    server = scripted_server(script)
    names = [*(f"q{n}" for n in range(30)), "bad", "hangs", "nonsense", *(f"r{n}" for n in range(30))]
    patience = Settings(patience=Patience(attempt_s=0.3, deadline_s=1.0, base_s=0.01, cap_s=0.1))

    async def main() -> None:
        async with layer(registry(server.url, max_concurrency=4), tmp_path, settings=patience) as models:
            replies = await models.generate_many([ask(name, model=model) for name in names])
        given_up = {name: reply.detail for name, reply in zip(names, replies, strict=True) if reply.status != "ok"}
        assert {name: detail.split(":")[0] for name, detail in given_up.items()} == {
            "bad": "bad_request",
            "hangs": "timeout",
            "nonsense": "malformed",
        }
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_storm_loses_nothing(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """One try in five fails. Every call is accounted for, in order, in the replies and in the ledger.

    What the storm costs in time is compared with a calm of as many calls in the long form alone: on a machine with
    other work the clock says how much of it there is. That who waits to try again holds nobody up is a law on a fake
    clock (tests/resources/test_limiter.py).
    """
    storm = _run(faulty, tmp_path / "storm")
    record_property("storm", f"{CALLS} calls in {storm:.1f} s")
    if LONG:
        calm = _run(right, tmp_path / "calm")
        record_property("calm", f"{CALLS} calls in {calm:.1f} s, the storm took {storm / calm:.2f} times as long")
        assert storm < 2 * calm, f"{storm:.1f} s with faults, {calm:.1f} s without"


def _run(script: Script, folder: Path) -> float:
    server = ServerProcess(script)
    models_ = registry(server.url, max_concurrency=32)
    texts = [f"{n}" for n in range(CALLS // 4)]
    by_gpt, by_claude = ([ask(t, model=model) for t in texts] for model in ("gpt", "claude"))

    async def main() -> float:
        async with layer(models_, folder, settings=STORM) as models:
            # The first call of each client loads the SDK's types; it is not what is measured here.
            await models.generate_many([ask("warm up", model=model) for model in ("gpt", "claude")])
            began = time.monotonic()
            generated = await models.generate_many([*by_gpt, *by_claude])
            chosen = await models.choose_many([ask(t) for t in (*texts, *(f"more {t}" for t in texts))], ("yes", "no"))
            took = time.monotonic() - began
        assert len(asyncio.all_tasks()) == 1
        assert [reply.text for reply in generated] == [f"re: {t}" for t in (*texts, *texts)]
        assert all(reply.status is Status.OK for reply in (*generated, *chosen))
        assert all(math.isclose(choice.p("yes"), 0.7 / 0.9) for choice in chosen)
        rows = ledger.rows_for(
            ReplyFile(folder / "replies.sqlite"), run_id="run", asset="asset", partition="gpt"
        ).slice(2)
        asked = {reply.request_id: reply.retries for reply in (*generated, *chosen)}
        assert dict(rows.select("request_id", "retries").iter_rows()) == asked
        assert rows.height == len(asked) == 4 * len(texts)
        total = ledger.totals(ReplyFile(folder / "replies.sqlite"), run_id="run")
        count = server.stats()["count"]
        tries = total.requests + total.retries
        # On a busy machine some tries time out before they reach the server: they are in the ledger alone.
        assert count <= tries <= 1.1 * count, "every try is in the ledger"
        assert total.retries / count < 0.1 if script is right else 0.15 < total.retries / count < 0.3
        return took

    try:
        return asyncio.run(main())
    finally:
        server.close()


@pytest.mark.parametrize("model", ["gpt", "claude"])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_key_that_a_server_prints_back_is_stored_nowhere(
    scripted_server: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: str,
    status: int,
) -> None:
    canary = "sk-canary-5f3a9c"
    monkeypatch.setenv("CANARY_KEY", canary)
    seen: list[str] = []

    def rude(asked: Asked) -> Answer:
        seen.append(asked.headers["authorization"])
        return error(status, f"the key {asked.headers['authorization']} is bad", code=canary)

    server = scripted_server(rude)
    events: list[object] = []
    settings = Settings(patience=Patience(deadline_s=0.2, base_s=0.01, cap_s=0.05))

    async def main() -> str:
        models_ = registry(server.url, api_key_env="CANARY_KEY")
        async with layer(models_, tmp_path, settings=settings, on_event=events.append) as models:
            reply = await models.generate(ask("q", model=model))
            choice = await models.choose(ask("q", model=model), ("yes", "no"))
            return repr((reply, choice, models, events))

    with caplog.at_level("DEBUG"):
        shown = asyncio.run(main())
    assert seen[0] == f"Bearer {canary}", "the key was really sent"
    assert "[key]" in shown
    assert canary not in shown
    assert canary not in caplog.text
    assert all(canary.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
