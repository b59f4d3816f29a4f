"""The joint family through the whole graph on the embedded organism: a model that is trained once, and one that is not.
What the numbers are is not looked at here; that they pair, and say the same as the families' own, is."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import yaml

from influence_assets.estimate import estimate_assets
from influence_assets.project import Project
from tests.e2e.influence_projects import ORGANISM, again, asked, influence, reused, rows, seen, write_yaml
from tests.projects import CHECKOUT

SELECTION = '+key:"joint/drift" or +key:"joint/checkpoint_profile"'
JOINT = {"personas": 3, "test_per_persona": 2, "items": 2, "draws": 100}
FEATURES = {
    "backgrounds": ["organism"],
    "trait_items": ["organism"],
    "side_effects": [],
    "layers": [1],
    "layer": 1,
    "directions": ["difference_in_means", "random", "shuffled"],
    "steering": {"neutral": "organism", "coefficients": [-0.2, 0, 0.2], "items": 2},
    "min_mass": 0.0,
    "draws": 100,
}


@pytest.fixture(scope="module")
def ran(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loop of `expert` is there already; a model that is not trained is added."""
    project = again(trained, tmp_path_factory.mktemp("joint") / "project")
    models = yaml.safe_load((project / "data" / "models.yaml").read_text())["models"]
    write_yaml(project / "data" / "models.yaml", {"models": [*models, {"name": "untrained", **ORGANISM}]})
    for name in ("backgrounds", "trait_items", "neutral"):
        shutil.copytree(CHECKOUT / "data" / name, project / "data" / name, dirs_exist_ok=True)
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    study["personas"] |= {"per_framework": 4, "agree_per_persona": 4}
    study |= {"features": FEATURES, "joint": JOINT}
    write_yaml(project / "data" / "study.yaml", study)
    influence(project, "run", SELECTION)
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
    assert {row[3] for row in texts} == {3}
    unknown = "SELECT count(*) FROM joint.drift WHERE measure LIKE 'proj%' AND z_shuffled IS NULL AND change <> 0"
    assert rows(ran, unknown) == [(0,)], "the same words to some users move along no direction; all else does"


def test_an_untrained_model_has_a_profile_and_no_drift_and_says_why(ran: Path) -> None:
    query = "SELECT DISTINCT iteration FROM joint.{} WHERE model = 'untrained'"
    assert rows(ran, query.format("checkpoint_profile")) == [(0,)]
    assert rows(ran, query.format("drift")) == rows(ran, query.format("moves_with_harm")) == []
    assert "nothing to compare" in seen(ran, "untrained", "drift").metadata["why_no_rows"]
    assert "trainable" in seen(ran, "untrained", "checkpoint_probes_1").metadata["why_no_rows"]
    assert "drift" in seen(ran, "expert", "drift").metadata


def test_one_query_answers_and_a_second_run_asks_nothing(ran: Path) -> None:
    found = rows(ran, "SELECT measure, change, with_harm FROM drift_of('expert')")
    assert {"sensitivity", "harm", "projection_words"} <= {row[0] for row in found}
    influence(ran, "run", SELECTION, "--model", "expert")
    assert asked(ran, 2) == 0
    assert all(reused(ran, 2).values())
    for asset in ("checkpoint_probes_0", "checkpoint_probes_1"):
        estimate = estimate_assets(Project(ran), [asset], ["expert"])[asset]["expert"]
        assert (estimate.requests, estimate.cached > 0) == (0, True), "all of it is answered, by the landed adapter"
