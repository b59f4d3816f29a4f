"""Settings of an SAE: what contradicts itself is refused with the field, the value and what exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from influence_assets.features.sae_settings import SPARSITY, Architecture, SaeSettings, sae_settings
from resources.errors import InputError
from resources.yamlfiles import load_yaml

GOOD = {"layer": 2, "k": 16}


def test_the_defaults_are_a_topk_sae() -> None:
    settings = sae_settings(GOOD)
    assert settings.architecture is Architecture.TOPK
    assert settings.steps == settings.tokens // settings.batch_size
    assert settings.dead_steps == 39


@pytest.mark.parametrize("architecture", Architecture)
def test_each_architecture_takes_its_own_sparsity_alone(architecture: Architecture) -> None:
    own = SPARSITY[architecture]
    assert getattr(sae_settings({"layer": 0, "architecture": architecture, own: 2}), own) == 2
    with pytest.raises(InputError, match=f"{own}: architecture {architecture} needs it"):
        sae_settings({"layer": 0, "architecture": architecture})
    for other in set(SPARSITY.values()) - {own}:
        with pytest.raises(InputError, match=f"{other}: architecture {architecture} takes {own} and not {other}"):
            sae_settings({"layer": 0, "architecture": architecture, own: 2, other: 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, r"colour: is not a known field \(got 1\); there are: layer, architecture, width"),
        ({"architecture": "dense"}, "architecture: input should be 'topk', 'batchtopk', 'matryoshka', 'jumprelu'"),
        ({"k": 1000}, r"k: is above the width 512 \(got 1000.0\)"),
        ({"k": 2.5}, r"k: topk takes whole numbers \(got 2.5\)"),
        ({"tokens": 100}, r"tokens: is below the batch size of 512 tokens \(got 100\)"),
        ({"warmup": 0.9, "decay": 0.2}, "decay: with a warmup of 0.9 is above 1"),
        ({"skip_first": 1024}, "skip_first: leaves nothing of a context of 1024 tokens"),
        ({"levels": [8, 512]}, "levels: architecture topk has no levels"),
        ({"architecture": "matryoshka", "levels": [64, 32, 512]}, "levels: are not rising widths"),
        ({"architecture": "matryoshka", "levels": [64, 128]}, "levels: are not rising widths .* the whole width 512"),
        ({"layer": -1}, "layer: input should be greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        sae_settings({**GOOD, **changes}, "study.yaml")  # type: ignore[dict-item]
    assert str(caught.value).startswith("study.yaml: ")


def test_a_file_says_the_line(tmp_path: Path) -> None:
    path = tmp_path / "sae.yaml"
    path.write_text("layer: 1\nk: 4\nwidht: 8\n")
    with pytest.raises(InputError, match=r"sae.yaml:3: widht: is not a known field .*width"):
        load_yaml(path, SaeSettings)


def test_matryoshkas_levels() -> None:
    assert sae_settings({**GOOD, "architecture": "matryoshka"}).nested_widths == (128, 256, 512)
    assert sae_settings({"layer": 0, "k": 1, "width": 2, "architecture": "matryoshka"}).nested_widths == (1, 2)
