"""Secrets stay secret: after runs, crashes, refusals that print the key back and exports, no file and no line of output
holds one."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest
import yaml

from tests import forked
from tests.projects import environment, project
from tests.servers import rehearsal
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer

__all__ = ["project"]

KEY = "sk-canary-5b1f9d2e"
# Others that lie about in the environments of people who do this kind of work.
BYSTANDERS = {
    "HF_TOKEN": "hf_canary7d1c",
    "AWS_SECRET_ACCESS_KEY": "aws/canary+91",
    "DATABASE_URL": "pg://u:canary44@h",
}
SECRETS = (KEY, *BYSTANDERS.values(), "canary44")
PATIENCE_S = 200


def refuse(asked: Asked) -> Answer:
    """A server that does not know the key, and says it back."""
    message = f"bad key {asked.headers.get('authorization', '')}"
    return Answer(json.dumps({"error": {"message": message, "code": KEY}}).encode(), status=401)


def slowly(asked: Asked) -> Answer:
    answer = rehearsal.answer(asked)
    return Answer(answer.body, delay=0.01)


def served_by(server: ScriptedServer, project: Path) -> None:
    """One model behind the server plays all parts; the organism stays in the registry."""
    far = {
        "name": "far",
        "provider": "openai",
        "model": "m",
        "base_url": server.openai_url,
        "api_key_env": "CANARY_SECRET",
    }
    models, study = project / "data" / "models.yaml", project / "data" / "study.yaml"
    models.write_text(yaml.safe_dump({"models": [*yaml.safe_load(models.read_text())["models"], far]}))
    settings = yaml.safe_load(study.read_text())
    settings["roles"] = {role: ["far"] for role in settings["roles"]}
    study.write_text(yaml.safe_dump(settings))


@pytest.fixture
def start(project: Path) -> Callable[..., AbstractContextManager[forked.Forked]]:
    """Starts the command with every secret in its environment; what it prints is kept in the project."""
    env = environment(project) | BYSTANDERS | {"CANARY_SECRET": KEY}
    return lambda *arguments: forked.started(arguments, cwd=project, env=env, log=project / "printed.log")


def test_no_secret_reaches_a_file(
    project: Path,
    start: Callable[..., AbstractContextManager[forked.Forked]],
    scripted_server: Callable[[Script], ScriptedServer],
) -> None:
    server = scripted_server(slowly)
    served_by(server, project)

    def ends(*arguments: str) -> int | None:
        with start(*arguments) as process:
            process.join(PATIENCE_S)
            return process.exitcode

    with start("run", "group:personas") as process:
        while len(server.calls) < 40:
            assert process.is_alive(), (project / "printed.log").read_text()
            time.sleep(0.005)
        process.kill()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
    nothing_leaked(project)

    assert ends("run", "group:personas") == 0, (project / "printed.log").read_text()
    server.use(refuse)
    assert ends("run", "group:steerability", "--model", "far") is not None
    assert ends("export", "report", "report.html") == 0
    assert any(KEY in asked.headers.get("authorization", "") for asked in server.calls), "the key was really sent"
    nothing_leaked(project)
    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        query = "SELECT DISTINCT status FROM steerability.responses WHERE model = 'far' AND estimator <> 'reference'"
        assert connection.execute(query).fetchall() == [("gave_up",)]


def nothing_leaked(project: Path) -> None:
    """Tables, caches, logs, Dagster's event store, exports and what was printed."""
    files = [path for path in project.rglob("*") if path.is_file()]
    assert any(path.is_relative_to(project / ".dagster") for path in files)
    assert (project / "data" / "cache" / "replies.sqlite") in files
    for path in files:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in SECRETS), path
