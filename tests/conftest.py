"""Fixtures that any test may use."""

from __future__ import annotations

import os

# Small models run fastest on one thread, and tests share the machine; set before torch is ever imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml

from resources.postgres import Server
from resources.replyfile import ReplyFile
from resources.replyserver import ReplyServer
from resources.replystore import ReplyStore
from tests.scale import scaled
from tests.servers.postgres import Postgres, binaries
from tests.servers.scripted import Script, ScriptedServer

SECONDS = Path(__file__).with_name("seconds.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that the last minute of two processes is not one file alone."""
    seconds: dict[str, int] = yaml.safe_load(SECONDS.read_text())
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))


@pytest.fixture
def scripted_server() -> Iterator[Callable[[Script], ScriptedServer]]:
    """Starts loopback servers that speak both providers' protocols as a script says (tests/servers/scripted.py)."""
    servers: list[ScriptedServer] = []

    def start(script: Script) -> ScriptedServer:
        servers.append(ScriptedServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres server on loopback; each test takes databases of its own."""
    if binaries() is None:
        pytest.skip("no Postgres server is installed: apt-get install postgresql")
    pytest.importorskip("psycopg2", reason="the extra [cluster] is not installed: pip install -e '.[cluster]'")
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReplyStore:
    """An empty reply store of either kind; what holds for one holds for the other."""
    if request.param == "sqlite":
        return ReplyFile(tmp_path / "deep" / "replies.sqlite")
    return ReplyServer(Server(request.getfixturevalue("postgres").database(), "replies.url_env", "INFLUENCE_REPLIES"))


# How long an example takes says something about the machine, not about the law.
hypothesis.settings.register_profile("laws", deadline=None, max_examples=scaled(60, 1000))
hypothesis.settings.load_profile("laws")
