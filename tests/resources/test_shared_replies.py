"""Replies in Postgres, and the way there and back, beside the laws of both stores (test_cache.py, test_ledger.py)."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from pathlib import Path

import polars as pl
import pytest
import yaml

from influence_assets.doctor_machines import examine_machines
from influence_assets.machines import RepliesSettings
from influence_assets.project import Project
from influence_assets.replies import open_replies
from resources import ledger, replyserver
from resources.cache import ReplyCache
from resources.content import sha256_of
from resources.errors import BudgetError, InputError
from resources.estimate import Planned, estimate
from resources.ledger import LedgerRow
from resources.messages import Request, Role, Status, Usage
from resources.postgres import Server
from resources.replyfile import ReplyFile
from resources.replyserver import ReplyServer
from resources.replystore import ReplyStore, connected
from tests.faults import killed_asker
from tests.projects import CHECKOUT
from tests.servers.asking import ask, layer, registry
from tests.servers.faulty import right
from tests.servers.postgres import Postgres
from tests.servers.scripted import Script, ScriptedServer, text

psycopg2 = pytest.importorskip("psycopg2", reason="the extra [cluster] is not installed: pip install -e '.[cluster]'")

Start = Callable[[Script], ScriptedServer]
URL = "INFLUENCE_REPLIES"
ONE_REPLY = 103e-6
"""US dollars of a reply of two tokens, as the server counts."""
SQLITE, POSTGRES = RepliesSettings(), RepliesSettings(kind="postgres")
LEDGER = ("request_id", "model", "cost", "status", "cached", "at", "prompt_sha256", "seed", "sample")


@pytest.fixture
def url(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own, which the environment names."""
    found = postgres.database()
    monkeypatch.setenv(URL, found)
    return found


@pytest.fixture
def shared(url: str) -> ReplyServer:
    return ReplyServer(Server(url, "replies.url_env", URL))


def query(store: ReplyStore, sql: str) -> list[tuple[object, ...]]:
    with connected(store.connect()) as connection:
        return connection.rows(sql)


def row(address: str, cost: float = 0.25) -> LedgerRow:
    usage = Usage(10, 4, 2)
    return LedgerRow(address, "openai", "m", Role.AGENT, "generate", usage, cost, 0.5, False, Status.OK, 1, 1.7e9)


def spent(store: ReplyStore, scope: str) -> float:
    with connected(store.connect()) as connection:
        return ledger.spent(connection, scope)


def put(store: ReplyStore, numbers: range, *, run_id: str = "run") -> None:
    async def main() -> None:
        cache, _ = ReplyCache.open(store, run_id=run_id, asset="a", partition="p", scope="s", budget_usd=None)
        addresses = [sha256_of(number) for number in numbers]
        await asyncio.gather(*(cache.put(address, "[]", row(address)) for address in addresses))
        await cache.aclose()

    asyncio.run(main())


def start(target: Callable[..., None], *arguments: object) -> ForkProcess:
    """In a fork: what is imported here is imported there."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def test_many_processes_make_the_tables_at_once(shared: ReplyServer) -> None:
    processes = [start(shared.create) for _ in range(8)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert query(shared, "SELECT count(*) FROM ledger") == [(0,)]


def test_the_schema_stands_beside_other_tables(url: str, shared: ReplyServer) -> None:
    assert shared.reader().rows("SELECT nothing") == [], "nothing is made by looking"
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE ledger (mine int)")  # the lake's catalogue or Dagster's records may be here
    as_dagster_has_it = url.replace("postgresql:", "postgresql+psycopg2:")
    put(ReplyServer(Server(as_dagster_has_it, "replies.url_env", URL)), range(3))
    assert ledger.totals(shared, run_id="run").requests == 3
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.ledger")
        assert cursor.fetchall() == [(0,)]
        cursor.execute("SELECT count(*) FROM influence_replies.writers")
        assert cursor.fetchall() == [(0,)], "a writer that ended leaves nothing behind"


@pytest.fixture
def restarting(postgres: Postgres) -> Iterator[Callable[[float], None]]:
    """Stops the server at once, and starts it again after some seconds, in a thread."""
    threads: list[threading.Thread] = []

    def restart(after_s: float) -> None:
        postgres.stop()
        threads.append(threading.Timer(after_s, postgres.start))
        threads[-1].start()

    yield restart
    for thread in threads:
        thread.join()


def test_a_server_that_restarts_costs_time_and_no_reply(
    scripted_server: Start, shared: ReplyServer, tmp_path: Path, restarting: Callable[[float], None]
) -> None:
    server = scripted_server(lambda asked: text(asked, asked.last, delay=0.01))

    async def main() -> list[str]:
        async with layer(registry(server.url, max_concurrency=4), tmp_path, replies=shared) as models:
            asking = asyncio.create_task(models.generate_many([ask(f"q{n}") for n in range(200)]))
            while len(server.calls) < 60:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(restarting, 0.3)
            return [reply.text for reply in await asking]

    assert asyncio.run(main()) == [f"q{n}" for n in range(200)]
    assert len(server.calls) == 200
    rows = ledger.rows_for(shared, run_id="run", asset="asset", partition="gpt")
    assert rows["request_id"].n_unique() == rows.height == 200


def _spend(store: ReplyStore, url: str, folder: Path, number: int) -> None:
    async def main() -> None:
        named = {"run_id": f"run{number}", "budget_usd": 20 * ONE_REPLY, "budget_scope": "study", "replies": store}
        async with layer(registry(url, max_concurrency=2), folder, **named) as models:
            await models.generate_many([ask(f"{number} {n}", max_tokens=4) for n in range(30)])

    try:
        asyncio.run(main())
    except BudgetError:
        os._exit(3)


def test_machines_share_a_budget(scripted_server: Start, shared: ReplyServer, tmp_path: Path) -> None:
    server = scripted_server(lambda asked: text(asked, "abc", delay=0.01))
    processes = [start(_spend, shared, server.url, tmp_path, number) for number in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 3, "the budget was used up"
    totals = [ledger.totals(shared, run_id=f"run{number}") for number in range(2)]
    cost = sum(total.cost_usd for total in totals)
    assert 10 * ONE_REPLY < cost < 20 * ONE_REPLY + 2 * 2 * 4 * ONE_REPLY, "what was in flight elsewhere, and no more"
    assert spent(shared, "study") == pytest.approx(cost)
    assert len(server.calls) == sum(total.requests for total in totals)


@pytest.mark.parametrize("seam", ["before commit", "after commit"])
def test_killed_at_a_commit_nothing_that_was_stored_is_asked_again(
    scripted_server: Start, shared: ReplyServer, tmp_path: Path, seam: str
) -> None:
    server = scripted_server(right)
    killed = start(killed_asker.main, server.url, str(tmp_path), seam, 5, "postgres")
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    before, stored = len(server.calls), ledger.totals(shared, run_id=f"{seam}5").requests
    assert before - 64 <= stored <= before
    killed_asker.main(server.url, str(tmp_path), "", 0, "postgres")
    assert len(server.calls) - before == killed_asker.QUESTIONS - stored, "only what was not stored is asked again"
    runs = [ledger.rows_for(shared, run_id=name, asset="asset", partition="gpt") for name in (f"{seam}5", "0")]
    paid = pl.concat(runs).filter(~pl.col("cached"))
    assert paid["request_id"].n_unique() == paid.height == killed_asker.QUESTIONS


def test_a_commit_whose_answer_is_lost_is_not_counted_twice(
    shared: ReplyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.create()
    plain, lost = replyserver._Statements.rows, []

    def rows(self: replyserver._Statements, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        found = plain(self, sql, parameters)
        if sql == "COMMIT" and len(lost) < 3:
            lost.append(sql)
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return found

    monkeypatch.setattr(replyserver._Statements, "rows", rows)
    put(shared, range(10))
    assert len(lost) == 3
    assert ledger.totals(shared, run_id="run").requests == 10
    assert spent(shared, "s") == 2.5


def test_a_server_that_stays_away_is_one_line(
    shared: ReplyServer, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replyserver, "PATIENCE_S", 0.3)
    put(shared, range(1))
    postgres.stop()
    try:
        with pytest.raises(InputError) as caught:
            put(shared, range(2))
    finally:
        postgres.start()
    said = str(caught.value)
    assert said.startswith("data/study.yaml: replies.url_env: the reply store in Postgres cannot be used: ")
    assert f"(got '{URL}'); start it, or mend the URL" in said
    assert "canary" not in said


@pytest.mark.usefixtures("url")
def test_replies_follow_the_study_and_come_back(
    scripted_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each store answers what was asked in the other, and nothing that is in both is there twice."""
    caplog.set_level(logging.WARNING)
    server, path = scripted_server(lambda asked: text(asked, asked.last)), tmp_path / "cache" / "replies.sqlite"

    def asks(settings: RepliesSettings, questions: range, run_id: str) -> ReplyStore:
        store = open_replies(path, settings)

        async def main() -> None:
            async with layer(registry(server.url), tmp_path, replies=store, run_id=run_id, budget_scope="s") as models:
                await models.generate_many([ask(f"q{number}", seed=number) for number in questions])

        asyncio.run(main())
        return store

    def rows(store: ReplyStore, run_id: str) -> list[tuple[object, ...]]:
        return ledger.rows_for(store, run_id=run_id, asset="asset", partition="gpt").select(LEDGER).sort("seed").rows()

    file = asks(SQLITE, range(10), "one")
    before = path.read_bytes()
    there = asks(POSTGRES, range(20), "two")
    assert len(server.calls) == 20
    assert "replies: 10 replies and 10 rows of the ledger brought over from sqlite to postgres" in caplog.text
    assert path.read_bytes() == before
    assert rows(there, "one") == rows(file, "one")
    assert len(caplog.records) == 1
    asks(POSTGRES, range(20), "two")
    assert len(caplog.records) == 1, "once"
    back = asks(SQLITE, range(30), "three")
    assert "replies: 10 replies and 40 rows of the ledger brought over from postgres to sqlite" in caplog.text
    assert len(server.calls) == 30
    assert rows(back, "two") == rows(there, "two")
    there = asks(POSTGRES, range(30), "three")
    assert len(server.calls) == 30
    assert ledger.runs_of(there, asset="asset", partition="gpt") == ["one", "two", "three"]
    assert [ledger.totals(there, run_id=run).requests for run in ("one", "two", "three")] == [10, 40, 60]
    assert spent(there, "s") == pytest.approx(spent(back, "s"))
    secrets = [file for file in tmp_path.rglob("*") if file.is_file() and b"canary" in file.read_bytes()]
    assert secrets == []


@pytest.mark.usefixtures("url")
def test_files_of_several_machines_come_together(tmp_path: Path) -> None:
    for number in range(2):
        path = tmp_path / str(number) / "replies.sqlite"
        put(ReplyFile(path), range(number, number + 2), run_id=f"run{number}")
        store = open_replies(path, POSTGRES)
    assert query(store, "SELECT count(*) FROM replies") == [(3,)]
    assert [ledger.totals(store, run_id=f"run{number}").requests for number in range(2)] == [2, 2]
    assert spent(store, "s") == 1.0


@pytest.mark.usefixtures("url")
def test_a_store_that_cannot_be_reached_loses_nothing_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "replies.sqlite"
    put(open_replies(path, POSTGRES), range(5))
    with monkeypatch.context() as patch:
        patch.setenv(URL, "postgresql://me:canary-2@127.0.0.1:9/none")
        with pytest.raises(
            InputError, match=r"could not be brought over: .*delete .*replies.sqlite.home.json"
        ) as caught:
            open_replies(path, SQLITE)
        assert "canary" not in str(caught.value)
    assert ledger.totals(open_replies(path, SQLITE), run_id="run").requests == 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, f"replies.url_env: the environment has no such variable (got '{URL}'); export {URL}=..."),
        ("postgresql://me:canary/2@127.0.0.1/x", "holds no connection string of Postgres; export"),
        ("postgresql://me:can@ary@127.0.0.1/x", "holds no connection string of Postgres"),
        ("host=127.0.0.1 password='canary", "holds no connection string of Postgres"),
        ("canary", "holds no connection string of Postgres"),
        ("postgresql://me:canary%2F2@127.0.0.1:9/none", "cannot be used: "),
        ("postgresql+psycopg2://me:canary@127.0.0.1:9/none", "cannot be used: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, message: str
) -> None:
    monkeypatch.delenv(URL, raising=False)
    if value is not None:
        monkeypatch.setenv(URL, value)
    with pytest.raises(InputError) as caught:
        put(open_replies(tmp_path / "replies.sqlite", POSTGRES), range(1))
    said = str(caught.value)
    assert said.startswith("data/study.yaml: replies.url_env: ")
    assert message in said
    assert "\n" not in said
    assert not any(part in said for part in ("canary", "can@", "ary@"))


@pytest.mark.usefixtures("url")
def test_without_the_extra_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"Postgres needs psycopg2; pip install -c constraints.txt '.\[cluster\]'"):
        open_replies(tmp_path / "replies.sqlite", POSTGRES)


@pytest.mark.usefixtures("url")
def test_the_doctor_and_the_estimate_look_at_it(scripted_server: Start, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    study = yaml.safe_load((CHECKOUT / "data" / "study.yaml").read_text()) | {"replies": "postgres"}
    (tmp_path / "data" / "study.yaml").write_text(json.dumps(study))
    project = Project(tmp_path)
    with psycopg2.connect(os.environ[URL]) as connection:
        version = connection.server_version // 10_000
    assert list(examine_machines(project)) == [(True, f"replies in Postgres: version {version} answers")]
    server = scripted_server(lambda asked: text(asked, "yes"))
    models = registry(server.url)

    def found() -> tuple[int, int]:
        planned = [Planned(ask(f"q{number}")) for number in range(4)]
        one = estimate(planned, models, project.replies, root=tmp_path)["gpt"]
        return one.requests, one.cached

    assert found() == (4, 0)

    async def main(requests: list[Request]) -> None:
        async with layer(models, tmp_path, replies=project.replies) as opened:
            await opened.generate_many(requests)

    asyncio.run(main([ask("q0"), ask("q3")]))
    assert found() == (2, 2)
    postgres.stop()
    try:
        ((good, said),) = examine_machines(project)
    finally:
        postgres.start()
    assert not good
    assert said.startswith("data/study.yaml: replies.url_env: Postgres does not answer: ")
    assert "canary" not in said
