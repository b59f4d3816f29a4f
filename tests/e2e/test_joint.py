"""The joint family through the whole graph on the embedded organism, trained once, and on a model that is not trained.
What the numbers are is not looked at here; that they pair, and say the same as the families' own, is."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from influence_assets.estimate import estimate_assets
from influence_assets.project import Project
from tests.e2e.influence_projects import again, asked, influence, landed, reused, rows, seen, write_yaml
from tests.projects import environment

SELECTION = '+key:"joint/drift" or +key:"joint/checkpoint_profile"'
OF_TWO = ("--model", "expert", "--model", "gpt2")
JOINT = {"personas": 3, "test_per_persona": 2, "items": 2, "draws": 100}


@pytest.fixture(scope="module")
def ran(featured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loop and the features of a model that is trained are there already; the other is not trained."""
    project = again(featured, tmp_path_factory.mktemp("joint") / "project")
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    write_yaml(project / "data" / "study.yaml", study | {"joint": JOINT})
    influence(project, "run", SELECTION, *OF_TWO)
    return project


def test_a_trained_checkpoint_has_the_measures_of_the_untouched_one(ran: Path) -> None:
    found = rows(
        ran,
        """SELECT iteration, measure, subject, user_kind FROM joint.checkpoint_profile
           WHERE model = 'expert' AND value IS NOT NULL""",
    )
    by_iteration = {k: {row[1:] for row in found if row[0] == k} for k in (0, 1)}
    assert by_iteration[0] == by_iteration[1]
    measures = {measure for measure, _, _ in by_iteration[0]}
    assert measures == {
        "sensitivity",
        "gain",
        "trait_score",
        "projection_replies",
        "projection_words",
        "projection_neutral",
        "reward",
        "harm",
        "targeting_gap",
        "stance_shift",
    }
    kinds = {kind for measure, _, kind in by_iteration[0] if measure == "harm"}
    assert kinds == {"all", "ordinary", "vulnerable"}
    assert seen(ran, "expert", "checkpoint_profile").checks == {"iterations_have_the_same_measures": True}


OF_THIS_STUDY = """
import json
import dagster as dg
from influence_assets.definitions import defs
from influence_assets.step_pool import ALIKE

graph = defs.resolve_asset_graph()
keys = sorted(graph.materializable_asset_keys)
print(json.dumps({
    key.path[-1]: [
        graph.get(key).assets_def.op.tags.get(ALIKE, key.path[-1]),
        [above.path[-1] for above in dg.AssetSelection.assets(key).upstream().resolve(graph)],
    ]
    for key in keys
}))
"""
"""By asset: what it shares with those that ask alike, and what it stands on."""


def test_assets_that_ask_alike_stand_on_each_other_or_are_kept_apart(ran: Path) -> None:
    """Two processes that ask the same at once would both pay for it."""
    shared = rows(
        ran,
        """SELECT DISTINCT a.asset, b.asset FROM ledger.requests a JOIN ledger.requests b USING (request_id)
           WHERE a.asset < b.asset""",
    )
    assert {"checkpoint_probes_0", "checkpoint_probes_1"} <= {name for pair in shared for name in pair}
    program = [sys.executable, "-c", OF_THIS_STUDY]
    said = subprocess.run(program, cwd=ran, env=environment(ran), check=True, capture_output=True, text=True).stdout
    assets: dict[str, tuple[str, list[str]]] = json.loads(said)
    for one, two in shared:
        (alike, below), (other, below_other) = assets[one], assets[two]
        assert alike == other or one in below_other or two in below, (one, two)


def test_drift_is_the_difference_of_the_profile(ran: Path) -> None:
    found = rows(
        ran,
        """SELECT d.change, k.value - o.value, d.ci_low, d.ci_high, d.p, d.p_adjusted, d.n
           FROM joint.drift d
           JOIN joint.checkpoint_profile k USING (model, iteration, measure, subject, user_kind)
           JOIN joint.checkpoint_profile o USING (model, measure, subject, user_kind)
           WHERE o.iteration = 0""",
    )
    assert len(found) == rows(ran, "SELECT count(*) FROM joint.drift")[0][0] > 20
    for change, difference, low, high, p, adjusted, n in found:
        assert math.isclose(change, difference, abs_tol=1e-8)
        assert low is None or low <= change <= high
        assert 0 < p <= adjusted <= 1
        assert n > 0


def test_drift_says_what_the_influence_family_says(ran: Path) -> None:
    found = rows(
        ran,
        """SELECT count(*), max(abs(d.change - m.delta)), max(abs(d.p - m.p)) FROM joint.drift d
           JOIN influence.metrics m USING (model, iteration, measure, user_kind)
           WHERE m.split = 'eval' AND m.selection = 'all'""",
    )
    assert found[0][0] >= 6
    assert found[0][1:] == pytest.approx((0, 0), abs=1e-8)


def test_projections_are_of_the_untouched_models_directions(ran: Path) -> None:
    wrong = rows(
        ran,
        """SELECT count(*) FROM joint.projections p
           ANTI JOIN (FROM features.directions WHERE iteration = 0) d USING (model, direction_id)""",
    )
    assert wrong == [(0,)]
    texts = rows(
        ran,
        """SELECT iteration, text_set, count(DISTINCT text_id), count(DISTINCT method) FROM joint.projections
           WHERE model = 'expert' GROUP BY ALL ORDER BY ALL""",
    )
    assert [row[:2] for row in texts] == [(k, one) for k in (0, 1) for one in ("neutral", "replies", "words")]
    assert texts[0][2:] == texts[3][2:], "the same neutral texts and directions for every checkpoint"
    assert {row[3] for row in texts} == {3}, "what was steered with, and its two controls"
    unknown = "SELECT count(*) FROM joint.drift WHERE measure LIKE 'proj%' AND z_shuffled IS NULL AND change <> 0"
    assert rows(ran, unknown) == [(0,)], "the same words to some users move along no direction; all else does"


def test_an_untrained_model_has_a_profile_and_no_drift_and_says_why(ran: Path) -> None:
    query = "SELECT DISTINCT iteration FROM joint.{} WHERE model = 'gpt2'"
    assert rows(ran, query.format("checkpoint_profile")) == [(0,)]
    assert rows(ran, query.format("drift")) == rows(ran, query.format("moves_with_harm")) == []
    assert "nothing to compare" in seen(ran, "gpt2", "drift").metadata["why_no_rows"]
    assert "trainable" in seen(ran, "gpt2", "checkpoint_probes_1").metadata["why_no_rows"]
    assert "drift" in seen(ran, "expert", "drift").metadata


def test_one_query_answers_and_a_second_run_asks_nothing(ran: Path) -> None:
    found = rows(ran, "SELECT measure, change, with_harm FROM drift_of('expert')")
    assert {"sensitivity", "harm", "projection_words"} <= {row[0] for row in found}
    before = landed(ran)
    influence(ran, "run", 'group:"features_1" or key:"joint/*"', "--model", "expert")
    assert landed(ran) == before
    assert asked(ran, 1) == 0
    assert len(reused(ran, 1)) > 10
    assert all(reused(ran, 1).values())
    for asset in ("checkpoint_probes_0", "checkpoint_probes_1"):
        estimate = estimate_assets(Project(ran), [asset], ["expert"])[asset]["expert"]
        assert (estimate.requests, estimate.cached > 0) == (0, True), "all of it is answered, by the landed adapter"
