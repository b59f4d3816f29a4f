"""SAEs from directories and releases: what does not fit is one clear line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from influence_assets.features.sae_files import layer_of
from influence_assets.features.sae_lean import LeanSae
from influence_assets.features.sae_loading import load_sae
from resources.errors import InputError
from resources.registry import SaeSource
from tests.features.sae_cases import WIDTH, tiny_model

LATENTS = 12
Write = Callable[..., SaeSource]


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny_model()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an SAE in sae-lens's format; changes go to `cfg.json`, `metadata` to its part of that name."""

    def made(d_in: int = WIDTH, metadata: dict[str, object] | None = None, **changes: object) -> SaeSource:
        torch.manual_seed(4)
        tensors = {
            "W_enc": torch.randn(d_in, LATENTS),
            "b_enc": torch.randn(LATENTS),
            "W_dec": torch.randn(LATENTS, d_in),
            "b_dec": torch.randn(d_in),
        }
        if changes.get("architecture") == "jumprelu":
            tensors["threshold"] = torch.rand(LATENTS)
        if changes.get("architecture") == "gated":
            del tensors["b_enc"]
            tensors |= {name: torch.randn(LATENTS) for name in ("b_gate", "r_mag", "b_mag")}
        save_file(tensors, tmp_path / "sae_weights.safetensors")
        about = {"sae_lens_version": "6.54.12", "hook_name": "model.layers.1"} | (metadata or {})
        config = {"d_in": d_in, "d_sae": LATENTS, "architecture": "standard", "device": "cpu", "metadata": about}
        shape = {"dtype": "float32", "normalize_activations": "none", "reshape_activations": "none"}
        (tmp_path / "cfg.json").write_text(json.dumps(config | shape | {"apply_b_dec_to_input": True} | changes))
        return SaeSource(directory=str(tmp_path))

    return made


@pytest.mark.parametrize(
    ("changes", "lean"),
    [
        ({}, True),
        ({"apply_b_dec_to_input": False}, True),
        ({"architecture": "topk", "k": 3}, True),
        ({"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": True}, True),
        ({"architecture": "jumprelu"}, True),
        ({"architecture": "jumprelu", "dtype": "float64"}, True),
        ({"architecture": "gated"}, False),
        ({"normalize_activations": "layer_norm"}, False),
        ({"metadata": {"sae_lens_version": "5.0.0"}, "hook_name": "model.layers.1"}, False),
    ],
)
def test_it_computes_what_sae_lens_computes(
    write: Write, model: PreTrainedModel, changes: dict[str, object], lean: bool
) -> None:
    from sae_lens import SAE

    source = write(**changes)
    sae, theirs = load_sae(source, Path(), model), SAE.load_from_disk(str(source.directory))
    assert isinstance(sae.coder, LeanSae) is lean
    acts_N_D = torch.randn(50, WIDTH, dtype=torch.float64) * 3
    latents_N_F = sae.encode(acts_N_D)
    assert torch.equal(latents_N_F, theirs.encode(acts_N_D))
    assert torch.equal(sae.reconstruct(acts_N_D), theirs.decode(theirs.encode(acts_N_D)))
    assert torch.equal(sae.encode(acts_N_D.view(5, 10, WIDTH)).view(50, LATENTS), latents_N_F)
    assert (latents_N_F == 0).any()
    assert (latents_N_F > 0).any()


def test_it_says_whose_it_is(write: Write, model: PreTrainedModel) -> None:
    details = {"training_architecture": "batchtopk", "training_architecture_details": {"k": 2.5}}
    sae = load_sae(write(architecture="jumprelu", metadata=details), Path(), model, layer=1)
    assert (sae.layer, sae.hook, sae.architecture, sae.k) == (1, "model.layers.1", "batchtopk", 2.5)
    assert (sae.width, sae.d_in, sae.decoder_F_D.shape) == (LATENTS, WIDTH, (LATENTS, WIDTH))
    before = sae.sha256
    assert load_sae(write(architecture="jumprelu", metadata=details), Path(), model).sha256 == before
    assert load_sae(write(architecture="jumprelu"), Path(), model).sha256 != before


def test_a_mean_over_the_width_is_taken_off_and_put_back(write: Write, model: PreTrainedModel) -> None:
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    plain, centred = load_sae(write(), Path(), model), load_sae(write(metadata=kwargs), Path(), model)
    acts_N_D = torch.randn(20, WIDTH)
    mean_N_1 = acts_N_D.mean(dim=1, keepdim=True)
    assert torch.equal(centred.encode(acts_N_D), plain.encode(acts_N_D - mean_N_1))
    assert torch.equal(centred.reconstruct(acts_N_D), plain.reconstruct(acts_N_D - mean_N_1) + mean_N_1)


def test_latents_of_a_scaled_token_alone_cannot_be_decoded(write: Write, model: PreTrainedModel) -> None:
    sae = load_sae(write(normalize_activations="layer_norm"), Path(), model)
    with pytest.raises(InputError, match="scales each token"):
        sae.decode(torch.zeros(1, LATENTS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_in": 8}, "width 8, and the model's stream has width 16"),
        ({"metadata": {"hook_name": "model.layers.7"}}, "hook_name: the SAE does not read the output of one of the"),
        ({"metadata": {"hook_name": "blocks.1.hook_mlp_out"}}, r"3 blocks \(got 'blocks.1.hook_mlp_out'\)"),
        ({"metadata": {"hook_name": "blocks.3.hook_resid_post"}}, "use an SAE of the residual stream after a block"),
        ({"d_sae": 13}, r"W_dec is \[12, 16\], and cfg.json says \[13, 16\]"),
        ({"d_sae": "many"}, "cfg.json: d_sae: is not an SAE's configuration"),
        ({"normalize_activations": "expected_average_only_in"}, "scaled by numbers that its files do not hold"),
        ({"architecture": "dense"}, "sae-lens cannot load it"),
    ],
)
def test_an_sae_that_does_not_fit_is_refused(
    write: Write, model: PreTrainedModel, changes: dict[str, object], message: str
) -> None:
    source = write(**changes)
    with pytest.raises(InputError, match=message):
        load_sae(source, Path(), model)


def test_files_that_are_not_there_pickled_or_damaged(write: Write, model: PreTrainedModel, tmp_path: Path) -> None:
    source = write()
    with pytest.raises(InputError, match=r"layer: the SAE is of layer 1 \(model.layers.1\) \(got 2\); use layer 1"):
        load_sae(source, Path(), model, layer=2)
    weights = tmp_path / "sae_weights.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:40])
    with pytest.raises(InputError, match="is not a readable safetensors file"):
        load_sae(source, Path(), model)
    weights.unlink()
    with pytest.raises(InputError, match=r"sae_weights.safetensors: is missing; .* this one holds cfg.json"):
        load_sae(source, Path(), model)
    (tmp_path / "sae.pt").write_bytes(pickle.dumps({"W_dec": 1}))
    with pytest.raises(InputError, match=r"is missing, and sae.pt is pickled, which can run code"):
        load_sae(source, Path(), model)
    with pytest.raises(InputError, match="there is no such directory"):
        load_sae(SaeSource(directory="nowhere"), tmp_path, model)


def test_an_sae_that_lacks_a_tensor_is_refused(write: Write, model: PreTrainedModel, tmp_path: Path) -> None:
    source = write()
    weights = tmp_path / "sae_weights.safetensors"
    save_file({name: tensor for name, tensor in load_file(weights).items() if name != "b_enc"}, weights)
    with pytest.raises(InputError, match=r"sae-lens cannot load it: .*b_enc"):
        load_sae(source, Path(), model)


def test_releases(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**source: str) -> str:
        with pytest.raises(InputError) as caught:
            load_sae(SaeSource(**source), Path(), model)
        return str(caught.value)

    assert "names no SAE, or two" in refused(release="gpt2-small-res-jb")
    assert "names no SAE, or two" in refused(release="a", id="b", directory="c")
    assert "such as gpt2-small-res-jb" in refused(release="gpt2-small-res", id="blocks.0.hook_resid_pre")
    assert "has no such id among its 13" in refused(release="gpt2-small-res-jb", id="blocks.77.hook_resid_pre")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    offline = refused(release="gpt2-small-res-jb", id="blocks.8.hook_resid_pre")
    assert "cannot be fetched" in offline
    assert "check the network, or download it elsewhere and give its directory" in offline
    assert "\n" not in offline


def test_hooks_of_both_kinds_name_a_layer() -> None:
    names = [f"transformer.h.{number}" for number in range(12)]
    assert layer_of("transformer.h.11", names, "") == 11
    assert layer_of("base_model.model.transformer.h.1", names, "") == 1
    assert layer_of("blocks.3.hook_resid_post", names, "") == 3
    assert layer_of("blocks.3.hook_resid_pre", names, "") == 2
    for hook in ("blocks.0.hook_resid_pre", "blocks.12.hook_resid_post", "", "h", "1"):
        with pytest.raises(InputError, match="does not read the output of one of the model's 12 blocks"):
            layer_of(hook, names, "")
