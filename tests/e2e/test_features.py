"""The features family through the whole graph: planted truth on the organism and on a LoRA checkpoint of it, models of
other shapes with random weights, and a model without an inside."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from influence_assets.features.study_design import no_inside
from resources.registry import ModelEntry, ProviderName
from tests.e2e.influence_projects import ORGANISM, asked, build, influence, reused, rows, write_yaml
from tests.projects import CHECKOUT
from tests.resources.local.conftest import write_model

FEATURES = {
    "backgrounds": ["organism"],
    "trait_items": ["organism"],
    "side_effects": ["english"],
    "iterations": [0, 1],
    "layers": [0, 1],
    "sae": {"layer": 1, "architecture": "topk", "width": 256, "k": 16, "tokens": 50_000},
    "keep": 3,
    "directions": ["difference_in_means", "caa", "sae_row", "random", "shuffled"],
    "steering": {
        "factors": ["machiavellianism"],
        "coefficients": [-0.2, 0, 0.1, 0.2],
        "items": 2,
        "selection_items": 2,
        "neutral": "organism",
        "written": 1,
        "written_tokens": 4,
    },
    "draws": 100,
}
SELECTION = '+group:"features" or +group:"features_1"'
SHAPES = ("gpt2", "gemma3")

pytestmark = pytest.mark.timeout(900)  # the first test waits for the whole graph


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    shapes = {shape: {"provider": "local", "model": f"data/{shape}"} for shape in SHAPES}
    project = build(folder, {"judge": ORGANISM, "expert": ORGANISM | {"trainable": True}, **shapes})
    for name in ("backgrounds", "trait_items", "side_effects", "neutral"):
        shutil.copytree(CHECKOUT / "data" / name, project / "data" / name)
    for shape in SHAPES:
        (project / "data" / shape).mkdir()
        write_model(project / "data" / shape, shape)
    for file in (project / "data" / "side_effects" / "english").glob("*.yaml"):
        content = yaml.safe_load(file.read_text())
        write_yaml(file, {name: part[:3] if isinstance(part, list) else part for name, part in content.items()})
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    study["personas"] |= {"per_framework": 2, "agree_per_persona": 2}
    study["features"] = FEATURES
    write_yaml(project / "data" / "study.yaml", study)
    influence(project, "run", SELECTION, "--model", "expert")
    return project


def test_planted_traits_are_found_and_steer_at_both_iterations(ran: Path) -> None:
    best = rows(ran, "SELECT iteration, min(auroc_heldout) FROM features.sae_feature_map WHERE rank = 1 GROUP BY ALL")
    assert {iteration for iteration, _ in best} == {0, 1}
    assert all(auroc >= 0.9 for _, auroc in best)
    ((explained,),) = rows(ran, "SELECT explained_variance FROM features.sae_quality")
    assert explained >= 0.9
    doses = rows(
        ran,
        """SELECT iteration, category, spearman, shift, ci_low, n_null FROM features.dose_response
        WHERE method = 'difference_in_means' ORDER BY ALL""",
    )
    assert [(iteration, category) for iteration, category, *_ in doses] == [
        (0, "high"), (0, "low"), (1, "high"), (1, "low"),
    ]  # fmt: skip
    for _, _, spearman, shift, low, n_null in doses:
        assert spearman == pytest.approx(1.0)
        assert 0 < low <= shift
        assert n_null == 32


def test_every_shift_stands_beside_its_controls(ran: Path) -> None:
    found = rows(ran, "SELECT method, count(DISTINCT index) FROM features.steering WHERE iteration = 0 GROUP BY ALL")
    counts = dict(found)
    assert counts["random"] == 32
    assert counts["shuffled"] == 10
    assert {"prompt", "difference_in_means", "caa", "sae_row"} <= set(counts)
    ((unsteered,),) = rows(ran, "SELECT count(*) FROM features.trait_scores WHERE condition = 'unsteered'")
    assert unsteered == 2
    effects = rows(ran, "SELECT DISTINCT test FROM features.side_effects")
    assert {test for (test,) in effects} == {"safety", "hallucination", "bias"}


def test_a_rerun_asks_nothing_and_computes_nothing(ran: Path) -> None:
    influence(ran, "run", 'group:"features"', "--model", "expert")
    kept = reused(ran, 1)
    assert all(kept[f"{name} expert"] for name in ("sae", "directions", "steering_sweep", "side_effects"))
    assert asked(ran, 1) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_of_models_land_rows(ran: Path, shape: str) -> None:
    influence(ran, "run", SELECTION, "--model", shape)
    ((directions, layers),) = rows(
        ran,
        f"SELECT count(*), count(DISTINCT layer) FROM features.directions WHERE model = '{shape}' AND iteration = 0",
    )
    assert directions >= 32 + 8 * 2
    assert layers >= 1
    ((tried, untrained),) = rows(
        ran,
        f"""SELECT count(*) FILTER (WHERE iteration = 0), count(*) FILTER (WHERE iteration = 1)
        FROM features.steering WHERE model = '{shape}'""",
    )
    assert tried > 32
    assert untrained == 0  # this model is not trained
    ((void, numbers),) = rows(
        ran,
        f"""SELECT count(*) FILTER (WHERE n = 0), count(*) FILTER (WHERE n = 0 AND shift IS NOT NULL)
        FROM features.steering WHERE model = '{shape}'""",
    )
    assert numbers == 0, f"{void} rows without a valid item"


def test_a_model_behind_an_api_has_no_inside_and_says_why() -> None:
    entry = ModelEntry(name="api", provider=ProviderName.OPENAI, model="m")
    assert "asked through an API" in no_inside(entry)
    assert not no_inside(ModelEntry(name="own", provider=ProviderName.LOCAL, model="m"))
