"""The features family through the whole graph: what was planted in the organism is found and moved, a trained
checkpoint is looked into beside it, other architectures run, and a model behind an API has no rows and says why. That
a second run asks nothing is looked at by test_joint.py, which goes on from here."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.features_projects import N_ITEMS, SETTINGS, SHAPES, TRAITS
from tests.e2e.influence_projects import ORGANISM, asked, influence, paid_twice, rows, seen, write_yaml

OF_A_CHECKPOINT = ("activations", "layers", "sae_feature_map", "directions", "steering", "dose_response")
ANSWERED = ("trait_answers", "trait_scores", "side_effects")
TEXTS = 24 * 2 * 2 * len(TRAITS)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def copied(featured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(featured, tmp_path / "copy", ignore=shutil.ignore_patterns(".dagster")))


def count(project: Path, table: str, model: str, iteration: int = 0) -> int:
    where = f"model = '{model}'" + ("" if table in ("saes", "sae_quality") else f" AND iteration = {iteration}")
    return int(rows(project, f"SELECT count(*) FROM features.{table} WHERE {where}")[0][0])


def test_everything_is_asked_once(featured: Path) -> None:
    assert paid_twice(featured) == []
    (orphans,) = rows(
        featured,
        """SELECT count(*) FROM features.trait_answers
           WHERE request_id NOT IN (SELECT request_id FROM ledger.requests)""",
    )
    assert orphans == (0,), "every answer names a request of the ledger"


def test_planted_traits_are_read_by_a_latent(featured: Path) -> None:
    found = rows(
        featured,
        """SELECT factor, category, auroc_heldout, n FROM features.sae_feature_map
           WHERE model = 'expert' AND iteration = 0 AND rank = 1""",
    )
    assert {(factor, category) for factor, category, _, _ in found} == {(t, c) for t in TRAITS for c in ("high", "low")}
    for factor, category, auroc, n in found:
        assert auroc >= 0.9, (factor, category)
        assert n == 48
    ((explained, status),) = rows(
        featured, "SELECT explained_variance, status FROM features.sae_quality WHERE model = 'expert'"
    )
    assert explained >= 0.8, "of an SAE that was trained for some seconds"
    assert status == "ok"


def test_directions_read_new_wordings_and_lie_against_their_opposites(featured: Path) -> None:
    found = rows(
        featured,
        """SELECT method, min(auroc_heldout), max(cosine_opposite), count(*) FROM features.directions
           WHERE model = 'expert' AND iteration = 0 AND method NOT IN ('random', 'shuffled') GROUP BY 1""",
    )
    by_method = {method: values for method, *values in found}
    assert set(by_method) == {"difference_in_means", "sae_filtered", "caa", "persona_vector"}
    auroc, cosine, n = by_method["difference_in_means"]
    assert auroc >= 0.9
    assert cosine < 0
    assert n == 2 * len(TRAITS)
    assert all((featured / path).is_file() for (path,) in rows(featured, "SELECT path FROM features.directions"))


def test_planted_traits_move_and_controls_stay(featured: Path) -> None:
    found = rows(
        featured,
        """SELECT trait, spearman, shift, ci_low, z, specificity, n FROM features.dose_response
           WHERE model = 'expert' AND iteration = 0 AND method = 'difference_in_means' AND category = 'high'""",
    )
    assert {trait for trait, *_ in found} == set(TRAITS)
    for trait, spearman, shift, low, z, specificity, n in found:
        assert spearman == pytest.approx(1.0), trait
        assert low > 0, trait
        assert z > 2, trait
        assert specificity > 1, trait
        assert n == N_ITEMS
        random = rows(
            featured,
            f"""SELECT max(abs(shift)) FROM features.steering
                WHERE model = 'expert' AND iteration = 0 AND method = 'random' AND trait = '{trait}'""",
        )
        assert random[0][0] < shift, "none of 32 random directions moves as far"
    methods = rows(featured, "SELECT DISTINCT method FROM features.steering WHERE model = 'expert' ORDER BY 1")
    assert [name for (name,) in methods] == ["difference_in_means", "prompt", "random", "shuffled"]


def test_what_steering_costs_stands_beside_what_it_does(featured: Path) -> None:
    found = rows(
        featured,
        """SELECT coefficient, avg(kl), bool_and(nll IS NOT NULL) FROM features.steering
           WHERE model = 'expert' AND iteration = 0 AND method = 'difference_in_means' AND category = 'high'
           GROUP BY 1 ORDER BY 1""",
    )
    by_coefficient = {c: kl for c, kl, _ in found}
    assert set(by_coefficient) == {-0.3, -0.15, 0.15, 0.3}
    assert by_coefficient[0.3] > by_coefficient[0.15] > 0
    assert all(written for _, _, written in found)


@pytest.mark.parametrize("table", [*OF_A_CHECKPOINT, *ANSWERED])
def test_a_trained_checkpoint_is_looked_into_beside_the_untouched_model(featured: Path, table: str) -> None:
    """The SAE is the untouched model's; everything else is the checkpoint's own."""
    assert count(featured, table, "expert", 1) > 0
    if table == "activations":
        both = rows(
            featured,
            """SELECT iteration, list(path ORDER BY path) FROM features.activations
               WHERE model = 'expert' AND text_set = 'contrast' GROUP BY 1 ORDER BY 1""",
        )
        assert both[0][1] != both[1][1], "other weights, other files"


@pytest.mark.parametrize("model", SHAPES)
def test_other_architectures_land_rows_and_no_number_without_mass(featured: Path, model: str) -> None:
    for table in ("saes", "sae_quality", *OF_A_CHECKPOINT, *ANSWERED):
        assert count(featured, table, model) > 0, table
    (texts,) = rows(
        featured, f"SELECT max(n) FROM features.activations WHERE model = '{model}' AND text_set = 'contrast'"
    )
    assert texts == (TEXTS,)
    # Random weights put a little on each of 2,329 tokens: the letters have no mass, and nothing is a number.
    statuses = rows(
        featured,
        f"""SELECT DISTINCT score, ci_low, n, n_void FROM features.trait_scores
            WHERE model = '{model}' AND condition = 'unsteered'""",
    )
    assert statuses == [(None, None, 0, N_ITEMS)]
    doses = rows(
        featured, f"SELECT DISTINCT shift, z, spearman, specificity FROM features.dose_response WHERE model = '{model}'"
    )
    assert doses == [(None, None, None, None)]
    assert rows(featured, f"SELECT count(*) FROM features.steering WHERE model = '{model}' AND kl IS NULL") == [(0,)]


def test_models_that_are_not_trained_have_no_later_checkpoint_and_say_so(featured: Path) -> None:
    for table in (*OF_A_CHECKPOINT, *ANSWERED):
        assert count(featured, table, "gpt2", 1) == 0, table
    assert "no checkpoint 1" in seen(featured, "gpt2", "activations_1").metadata["why_no_rows"]


def test_a_model_behind_an_api_lands_no_rows_and_says_why(featured: Path) -> None:
    for table in ("saes", "sae_quality", *OF_A_CHECKPOINT, *ANSWERED):
        assert count(featured, table, "far") == 0, table
    for asset in ("sae", "activations", "steering_sweep"):
        assert "provider: local" in seen(featured, "far", asset).metadata["why_no_rows"]


def test_pictures_and_checks_are_shown(featured: Path) -> None:
    sweep, latents = seen(featured, "expert", "steering_sweep"), seen(featured, "expert", "sae_feature_map")
    assert {"methods", "dose_response", "off_target"} <= set(sweep.metadata)
    assert set(sweep.checks) == {"letters_have_mass", "steering_is_no_damage"}
    assert {"best_latents", "feature_map"} <= set(latents.metadata)
    assert seen(featured, "expert", "sae").checks == {"sae_explains_the_model": True}
    assert seen(featured, "gpt2", "steering_sweep").checks["letters_have_mass"] is False


def test_an_sae_that_the_entry_names_takes_the_place_of_the_trained_one(copied: Path) -> None:
    ((path,),) = rows(copied, "SELECT path FROM features.saes WHERE model = 'expert'")
    shutil.copytree(copied / path, copied / "data" / "mine")
    models = copied / "data" / "models.yaml"
    entries: list[dict[str, Any]] = yaml.safe_load(models.read_text())["models"]
    assert {name: entries[0][name] for name in ORGANISM} == ORGANISM
    entries[0]["sae"] = {"directory": "data/mine"}
    write_yaml(models, {"models": entries})
    # The study trains none, and none of its candidates is the SAE's layer.
    study = copied / "data" / "study.yaml"
    settings = SETTINGS | {"sae": None, "layers": [0], "layer": 0}
    write_yaml(study, yaml.safe_load(study.read_text()) | {"features": settings})
    map_of = """SELECT factor, category, rank, feature_id, auroc_heldout FROM features.sae_feature_map
                WHERE model = 'expert' AND iteration = 0 ORDER BY ALL"""
    before = rows(copied, map_of)
    influence(copied, "run", '+key:"features/directions"', "--model", "expert")
    assert rows(copied, "SELECT source, path, layer FROM features.saes WHERE model = 'expert'") == [
        ("directory", "data/mine", 1)
    ]
    after = rows(copied, map_of)
    assert [row[:4] for row in after] == [row[:4] for row in before]
    assert all(math.isclose(old[4], new[4]) for old, new in zip(before, after, strict=True))
    layers = rows(
        copied,
        """SELECT method, min(layer), max(layer) FROM features.directions
           WHERE model = 'expert' AND iteration = 0 AND method IN ('difference_in_means', 'sae_filtered')
           GROUP BY 1 ORDER BY 1""",
    )
    assert layers == [("difference_in_means", 0, 0), ("sae_filtered", 1, 1)]
    assert asked(copied, 1) == 0
