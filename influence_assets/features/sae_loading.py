"""Loads a sparse autoencoder for a model: from a directory, or a release of the sae-lens registry.

A directory needs no network and, for the plain architectures, no sae-lens either. Imports torch: import this module
inside functions.
"""

from __future__ import annotations

import difflib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from influence_assets.features.sae import Coder, Sae
from influence_assets.features.sae_files import SaeConfig, layer_of, sae_files
from influence_assets.features.sae_lean import lean_sae
from resources.content import sha256_of, sha256_of_files
from resources.errors import InputError, one_line
from resources.local.blocks import blocks
from resources.registry import SaeSource

if TYPE_CHECKING:
    from sae_lens import SAE
    from transformers import PreTrainedModel

PLACE = "data/models.yaml"
ENCODED_BY_SAE_LENS = ("standard", "gated", "topk", "abstopk", "jumprelu", "matching_pursuit")
UNFOLDED = ("expected_average_only_in", "covariance_whitening", True)


def load_sae(source: SaeSource, root: Path, model: PreTrainedModel, layer: int | None = None) -> Sae:
    """The SAE of a registry entry, on the model's device; directories are relative to `root`.

    Raises `InputError` when the entry names no SAE or two, when files are missing, pickled or damaged, when the release
    or id does not exist or cannot be fetched, when its width is not the model's, when it reads something else than a
    block's output, and when `layer` is given and is not the SAE's.
    """
    if bool(source.directory) == bool(source.release or source.id) or bool(source.release) != bool(source.id):
        value = source.model_dump(exclude_none=True)
        raise InputError(
            "names no SAE, or two", place=PLACE, field="sae", value=value, fix="give release and id, or a directory"
        )
    sae = _from_directory(root / source.directory, model) if source.directory else _from_registry(source, model)
    if layer is not None and sae.layer != layer:
        problem = f"the SAE is of layer {sae.layer} ({sae.hook})"
        raise InputError(problem, place=sae.source, field="layer", value=layer, fix=f"use layer {sae.layer}")
    return sae


def _from_directory(directory: Path, model: PreTrainedModel) -> Sae:
    config, config_path, weights_path = sae_files(directory)
    _check_width(config.d_in, model, str(directory))
    layer = layer_of(config.hook, [block.name for block in blocks(model)], str(config_path))
    digest = sha256_of_files([config_path, weights_path])
    lean = lean_sae(config, weights_path, model.device)
    if lean is None:
        return _wrapped(_opened(directory, model), model, str(directory), digest)
    return _sae(lean, config, layer, str(directory), digest)


def _opened(directory: Path, model: PreTrainedModel) -> SAE:
    from sae_lens import SAE

    try:
        return SAE.load_from_disk(directory, device=str(model.device))
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        problem = f"sae-lens cannot load it: {one_line(str(error), 200)}"
        raise InputError(problem, place=directory, fix="copy it again, or save it with sae-lens 6") from error


def _from_registry(source: SaeSource, model: PreTrainedModel) -> Sae:
    from sae_lens import SAE

    release, sae_id = str(source.release), str(source.id)
    _check_release(release, sae_id)
    try:
        sae = SAE.from_pretrained(release, sae_id, device=str(model.device))
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # the hub's errors are OSErrors
        problem = f"the SAE cannot be fetched ({type(error).__name__}: {one_line(str(error), 200)})"
        fix = "check the network, or download it elsewhere and give its directory"
        raise InputError(problem, place=PLACE, field="sae", value=f"{release}/{sae_id}", fix=fix) from error
    return _wrapped(sae, model, f"{release}/{sae_id}", _content_hash(sae))


def _check_release(release: str, sae_id: str) -> None:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    releases = get_pretrained_saes_directory()
    if release not in releases:
        if "/" in release:  # a repository of the hub in sae-lens's format
            return
        near = difflib.get_close_matches(release, releases, n=5, cutoff=0.4) or sorted(releases)[:5]
        problem = f"sae-lens has no such release among its {len(releases)}"
        raise InputError(problem, place=PLACE, field="sae.release", value=release, fix=f"such as {', '.join(near)}")
    ids = releases[release].saes_map
    if sae_id not in ids:
        near = difflib.get_close_matches(sae_id, ids, n=5, cutoff=0.4) or sorted(ids)[:5]
        problem = f"the release {release} has no such id among its {len(ids)}"
        raise InputError(problem, place=PLACE, field="sae.id", value=sae_id, fix=f"such as {', '.join(near)}")


def _wrapped(sae: SAE, model: PreTrainedModel, source: str, digest: str) -> Sae:
    """What sae-lens loaded, if it is what this project can use."""
    config = SaeConfig.model_validate(sae.cfg.to_dict())
    if config.architecture not in ENCODED_BY_SAE_LENS:
        problem = "is no autoencoder of single activations"
        fix = f"use one of: {', '.join(ENCODED_BY_SAE_LENS)}"
        raise InputError(problem, place=source, field="architecture", value=config.architecture, fix=fix)
    if config.normalize_activations in UNFOLDED:
        problem = "its activations are to be scaled by numbers that its files do not hold"
        fix = "fold the scale into its weights with sae-lens and save it again"
        raise InputError(
            problem, place=source, field="normalize_activations", value=config.normalize_activations, fix=fix
        )
    _check_width(config.d_in, model, source)
    layer = layer_of(config.hook, [block.name for block in blocks(model)], source)
    sae.requires_grad_(False)
    return _sae(sae, config, layer, source, digest)


def _sae(coder: Coder, config: SaeConfig, layer: int, source: str, digest: str) -> Sae:
    return Sae(
        layer=layer,
        hook=config.hook,
        architecture=config.trained_as,
        width=config.d_sae,
        d_in=config.d_in,
        k=config.sparsity_k,
        source=source,
        sha256=digest,
        coder=coder,
        centred=config.centred,
        per_token_scale=config.per_token_scale,
    )


def _content_hash(sae: SAE) -> str:
    tensors = {
        name: [
            str(tensor.dtype),
            *tensor.shape,
            sha256(tensor.cpu().contiguous().view(torch.uint8).numpy()).hexdigest(),
        ]
        for name, tensor in sae.state_dict().items()
    }
    return sha256_of({"architecture": sae.cfg.architecture(), "tensors": tensors})


def _check_width(d_in: int, model: PreTrainedModel, place: str) -> None:
    width = int(model.config.get_text_config().hidden_size)
    if d_in != width:
        problem = f"the SAE reads activations of width {d_in}, and the model's stream has width {width}"
        raise InputError(
            problem, place=place, field="d_in", value=d_in, fix="use an SAE that was trained on this model"
        )
