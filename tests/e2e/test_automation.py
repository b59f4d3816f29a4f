"""An edit makes exactly its descendants stale, and they rerun by themselves, once, as far as the study allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.e2e.influence_projects import CHECKOUT, build
from tests.projects import environment
from tests.servers import rehearsal
from tests.servers.scripted import ScriptedServer

PATIENCE_S = 560
pytestmark = pytest.mark.timeout(600)

ROUND = ("rollout_batches_0", "preference_scores_0", "rejudgements_0")
STEERABILITY = ("persona_responses", "steerability_matrix", "steerability_metrics", "persona_clusters")
EDITS = {
    "environment": [
        "data/environments/organism/organism_health_vulnerable.yaml",
        "You feel alone and look for comfort.",
        "You feel alone and want comfort.",
    ],
    "comment": ["data/environments/organism/family.yaml", "harm: {harm: raises}", "harm: {harm: raises}  # as it was"],
    "framework": ["data/frameworks/organism.yaml", "organized, outgoing and honest", "organized, merry and honest"],
    "rubric": ["data/judges/harm.yaml", "if the user follows it", "if the user believes it"],
    "model": ["data/models.yaml", '"model": "small"', '"model": "smaller"'],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two models behind an API, the first of which plays every role; two personas, a handful of conversations, and no
    training."""
    server = ScriptedServer(rehearsal.answer)
    models = {
        name: {"provider": "openai", "model": model, "base_url": server.openai_url}
        for name, model in (("near", "large"), ("far", "small"))
    }
    rollouts = {"states": 1, "samples": 1, "eval_states": 1, "max_turns": 1, "control": False}
    root = build(tmp_path_factory.mktemp("automation"), models, {"iterations": 0, "rollouts": rollouts})
    study = json.loads((root / "data" / "study.yaml").read_text())
    study["personas"] |= {"per_framework": 2, "agree_per_persona": 4}
    study["steerability"] |= {"methods": ["none", "description"], "draws": 100}
    (root / "data" / "study.yaml").write_text(json.dumps(study))
    compact = json.dumps(json.loads((root / "data" / "models.yaml").read_text()))
    (root / "data" / "models.yaml").write_text(compact)
    yield root
    server.close()


def day(root: Path, automation: object, edits: dict[str, list[str]]) -> dict[str, Any]:
    """What the automation does in a project whose study says this of it."""
    study = json.loads((root / "data" / "study.yaml").read_text())
    (root / "data" / "study.yaml").write_text(json.dumps(study | {"automation": automation}))
    (root / "edits.json").write_text(json.dumps(edits))
    done = forked.run(
        (str(root / "edits.json"),),
        cwd=CHECKOUT,
        env=environment(root),
        timeout=PATIENCE_S,
        module="tests.e2e.automation_driver",
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


JOINT = ("checkpoint_probes_0", "checkpoint_profile", "drift")


def once(assets: tuple[str, ...], *partitions: str) -> list[list[Any]]:
    return sorted([asset, partition, 1] for asset in assets for partition in partitions)


def test_what_an_edit_reruns_where_everything_may_run(small: Path) -> None:
    found = day(small, True, EDITS)
    assert found["at first"] == []
    both = ("near", "far")

    environment = found["environment"]
    assert environment["stale"] == [["initial_states", "organism"]]
    assert environment["made"] == sorted(
        [*once(("initial_states",), "organism"), *once((*ROUND, "influence_metrics", "sae", *JOINT), *both)]
    )
    # The rows are the same after all: what stands on them does not run.
    assert found["comment"]["made"] == once(("initial_states",), "organism")

    framework = found["framework"]
    persona_assets = ("personas", "candidate_statements", "filtered_statements", "statement_audit")
    assert framework["stale"] == sorted([asset, "organism"] for asset in ("frameworks", *persona_assets))
    assert framework["made"] == sorted(
        [
            *once(("frameworks", *persona_assets), "organism"),
            *once(("steering_sets", *STEERABILITY, "sae", *JOINT), *both),
        ]
    )

    rubric = found["rubric"]
    assert rubric["stale"] == [["rejudgements_0", "far"], ["rejudgements_0", "near"]]
    assert rubric["made"] == once(("influence_metrics", "rejudgements_0", *JOINT[1:]), *both)

    model = found["model"]
    assert {partition for _, partition in model["stale"]} == {"far"}
    assert {partition for _, partition, _ in model["made"]} == {"far"}
    assert {n for _, _, n in model["made"]} == {1}
    asked = {"checkpoint_0", "rollout_batches_0", "preference_scores_0", "persona_responses"}
    assert asked <= {asset for asset, _, _ in model["made"]}
    assert "steering_sets" not in {asset for asset, _, _ in model["made"]}
    assert all(one["left"] == [] for name, one in found.items() if name != "at first")


def test_what_costs_does_not_run_unless_the_study_says_so(small: Path) -> None:
    """And what stands on it waits, rather than run on rows that do not belong together."""
    edits = {
        "rubric": ["data/judges/harm.yaml", "the reply is likely to do", "the reply may do"],
        "environment": [
            "data/environments/organism/organism_health_ordinary.states.jsonl",
            "health-ordinary-train-01",
            "health-ordinary-train-91",
        ],
    }
    found = day(small, False, edits)
    assert found["at first"] == []
    assert found["rubric"]["made"] == []
    assert found["rubric"]["left"] == [["rejudgements_0", "far"], ["rejudgements_0", "near"]]
    assert found["environment"]["made"] == once(("initial_states",), "organism")
    waiting = {asset for asset, _ in found["environment"]["left"]}
    assert {"rollout_batches_0", "influence_metrics"} <= waiting
