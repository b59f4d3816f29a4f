"""A model that its provider trains: through the graph, the trained one is asked under its own name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.influence_projects import SELECTION, asked, build, influence, landed, paid_twice, reused, rows
from tests.e2e.influence_provider import Provider

KEYS = {"OPENAI_API_KEY": "sk-test"}
UP_TO_IT = '+key:"influence/checkpoint_1"'
TRAINED = 'key:"influence/checkpoint_1" or key:"influence/rollout_batches_1"'


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider(looks=("succeeded",))
    yield server
    server.close()


def project_at(provider: Provider, root: Path) -> Path:
    entry = {"provider": "openai", "model": "small", "base_url": provider.url, "trainable": True}
    # The protocol wants ten examples: five of each environment's one state.
    rollouts = {"states": 1, "samples": 10, "eval_states": 1, "max_turns": 1}
    evaluation = {"rubrics": ["harm"], "fidelity": False}
    return build(root, {"far": entry}, {"rollouts": rollouts, "evaluation": evaluation})


def test_a_provider_trains_and_its_model_is_asked_by_name(provider: Provider, tmp_path: Path) -> None:
    provider.seen["ftjob-1"] = 1  # it has measured all its steps by the first look
    project = project_at(provider, tmp_path)
    influence(project, "run", SELECTION, keys=KEYS)
    assert len(provider.jobs) == 1
    query = "SELECT method, adapter_path, n_rows, status FROM checkpoints WHERE iteration = 1"
    ((method, name, n_rows, status),) = rows(project, query)
    assert (method, n_rows, status) == ("expert_iteration", 10, "ok")
    assert len(provider.lines()) == 10
    assert name.startswith("ft:small:")
    agents = "SELECT count(*) FROM conversations WHERE iteration = 1 AND condition = 'agent'"
    assert provider.asked_of(name) == rows(project, agents)[0][0], "one turn each"
    assert rows(project, "SELECT DISTINCT model FROM turns") == [("far",)], "rows name the model of the study"
    assert rows(project, "SELECT count(*) FROM metrics WHERE iteration = 1 AND delta IS NOT NULL")[0][0] > 0
    assert paid_twice(project) == []

    before, chats = landed(project), len(provider.chats)
    influence(project, "run", TRAINED, "--force", keys=KEYS)
    assert not any(reused(project, 1).values())
    assert (len(provider.jobs), len(provider.chats), asked(project, 1)) == (1, chats, 0), "nothing is paid again"
    assert landed(project) == before


def test_a_failed_job_is_an_error_and_no_checkpoint(provider: Provider, tmp_path: Path) -> None:
    provider.looks, provider.error = ("failed",), {"code": "bad", "message": "the file is too odd", "param": None}
    project = project_at(provider, tmp_path)
    done = influence(project, "run", SELECTION, keys=KEYS, check=False)
    assert done.returncode == 1
    assert "the file is too odd" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert rows(project, "SELECT DISTINCT iteration FROM checkpoints") == [(0,)]
    assert rows(project, "SELECT DISTINCT iteration FROM conversations") == [(0,)]
    assert "sk-test" not in done.stderr

    provider.looks = ("succeeded",)
    influence(project, "run", UP_TO_IT, keys=KEYS)
    assert rows(project, "SELECT DISTINCT iteration FROM checkpoints ORDER BY 1") == [(0,), (1,)]
    assert paid_twice(project) == [], "iteration 0 was not asked again"
