"""The features family through the whole graph: planted truth on the organism and on a LoRA checkpoint of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from influence_assets.features.study_design import no_inside
from resources.registry import ModelEntry, ProviderName
from tests.e2e.influence_projects import ORGANISM, build, influence, rows, write_yaml
from tests.projects import CHECKOUT

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
pytestmark = pytest.mark.timeout(900)  # the first test waits for the whole graph


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    project = build(folder, {"judge": ORGANISM, "expert": ORGANISM | {"trainable": True}})
    for name in ("backgrounds", "trait_items", "side_effects", "neutral"):
        shutil.copytree(CHECKOUT / "data" / name, project / "data" / name)
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


def test_a_model_behind_an_api_has_no_inside_and_says_why() -> None:
    entry = ModelEntry(name="api", provider=ProviderName.OPENAI, model="m")
    assert "asked through an API" in no_inside(entry)
    assert not no_inside(ModelEntry(name="own", provider=ProviderName.LOCAL, model="m"))
