"""The files of an SAE's directory, checked before anything computes with them. Needs no torch.

sae-lens's format: `cfg.json` and `sae_weights.safetensors`. Pickled weights are refused: they can run code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from influence_assets.features.sae_settings import Architecture
from resources.errors import InputError, one_line

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
_AFTER_BLOCK = re.compile(r"blocks\.(\d+)\.hook_resid_post")
_BEFORE_BLOCK = re.compile(r"blocks\.(\d+)\.hook_resid_pre")


class SaeMetadata(BaseModel):
    """What sae-lens remembers about where an SAE is used; other fields are let be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sae_lens_version: str | None = None
    hook_name: str | None = None
    training_architecture: str | None = None
    training_architecture_details: dict[str, JsonValue] | None = None
    model_from_pretrained_kwargs: dict[str, JsonValue] | None = None


class SaeConfig(BaseModel):
    """`cfg.json`; fields that only sae-lens needs are let be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    d_in: int = Field(ge=1)
    d_sae: int = Field(ge=1)
    architecture: str = "standard"
    dtype: str = "float32"
    k: float | None = None
    rescale_acts_by_decoder_norm: bool = False
    apply_b_dec_to_input: bool = True
    normalize_activations: str | bool | None = "none"
    reshape_activations: str = "none"
    hook_name: str | None = None
    metadata: SaeMetadata = SaeMetadata()

    @property
    def hook(self) -> str:
        """Name of the module that is read; older files have it outside of the metadata."""
        return self.metadata.hook_name or self.hook_name or ""

    @property
    def trained_as(self) -> str:
        """The architecture in training."""
        name = self.metadata.training_architecture or self.architecture
        return Architecture.MATRYOSHKA if name == "matryoshka_batchtopk" else name

    @property
    def sparsity_k(self) -> float | None:
        """Latents that are on per token, where training fixed it."""
        trained = (self.metadata.training_architecture_details or {}).get("k")
        return self.k if self.k is not None else float(trained) if isinstance(trained, int | float) else None

    @property
    def centred(self) -> bool:
        """Whether it was trained on a TransformerLens model whose stream has mean 0."""
        return bool((self.metadata.model_from_pretrained_kwargs or {}).get("center_writing_weights"))

    @property
    def per_token_scale(self) -> bool:
        """Whether each token is scaled by what is read there."""
        return self.normalize_activations in ("layer_norm", "constant_norm_rescale")

    @property
    def plain(self) -> bool:
        """Whether the file is of sae-lens 6 or later and asks for nothing at run time."""
        major = (self.metadata.sae_lens_version or "0").split(".")[0]
        new = major.isdigit() and int(major) >= 6
        return new and self.normalize_activations == "none" and self.reshape_activations == "none"


class SaeFiles(NamedTuple):
    """A checked directory."""

    config: SaeConfig
    config_path: Path
    weights_path: Path


def sae_files(directory: Path) -> SaeFiles:
    """The files of a directory. Raises `InputError` when one is missing, pickled, damaged or at odds with the other."""
    if not directory.is_dir():
        raise InputError("there is no such directory", place=directory, fix="give an existing directory")
    config_path, weights_path = directory / CONFIG_FILE, directory / WEIGHTS_FILE
    for path in (config_path, weights_path):
        if not path.is_file():
            raise _missing(path)
    try:
        config = SaeConfig.model_validate_json(config_path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        problem = f"is not an SAE's configuration: {one_line(first['msg'])}"
        raise InputError(problem, place=config_path, field=field, fix="copy the file again from its source") from None
    _check_shapes(config, weights_path)
    return SaeFiles(config, config_path, weights_path)


def _missing(path: Path) -> InputError:
    there = sorted(item.name for item in path.parent.iterdir())
    pickles = [name for name in there if name.endswith(_PICKLES)]
    if pickles and path.name == WEIGHTS_FILE:
        problem = f"is missing, and {pickles[0]} is pickled, which can run code"
        return InputError(problem, place=path, fix="save the SAE with sae-lens's save_model, as safetensors")
    listed = ", ".join(there[:10]) or "nothing"
    return InputError("is missing", place=path, fix=f"give a directory that sae-lens saved; this one holds {listed}")


def _check_shapes(config: SaeConfig, weights: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"is not a readable safetensors file ({error})", place=weights, fix="copy it again") from None
    found, wanted = shapes.get("W_dec"), (config.d_sae, config.d_in)
    if found is None:
        raise InputError("holds no W_dec", place=weights, value=sorted(shapes)[:6], fix="copy or save the SAE again")
    if found != wanted:
        problem = f"W_dec is {list(found)}, and {CONFIG_FILE} says {list(wanted)}"
        raise InputError(problem, place=weights, fix="take both files from one source")


def layer_of(hook: str, block_names: Sequence[str], place: str) -> int:
    """The block whose output a hook is: a module of the model, or TransformerLens's name for it.

    `block_names` are the model's own, in order. Raises `InputError` for anything else than a block's output.
    """
    if before := _BEFORE_BLOCK.fullmatch(hook):
        layer = int(before.group(1)) - 1
    elif after := _AFTER_BLOCK.fullmatch(hook):
        layer = int(after.group(1))
    else:
        layer = next((number for number, name in enumerate(block_names) if _same_module(name, hook)), -1)
    if not 0 <= layer < len(block_names):
        raise InputError(
            f"the SAE does not read the output of one of the model's {len(block_names)} blocks",
            place=place,
            field="hook_name",
            value=hook,
            fix=f"use an SAE of the residual stream after a block: {block_names[0]} to {block_names[-1]}, "
            f"or blocks.0.hook_resid_post to blocks.{len(block_names) - 1}.hook_resid_post",
        )
    return layer


def _same_module(name: str, hook: str) -> bool:
    """Wrappers add prefixes: `model.layers.3` and `base_model.model.layers.3` are the same block."""
    return name == hook or ("." in hook and name.endswith(f".{hook}")) or hook.endswith(f".{name}")
