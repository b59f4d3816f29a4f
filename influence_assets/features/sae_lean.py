"""The plain architectures without sae-lens, whose import alone takes longer than most studies of a small model.

Reads what sae-lens 6 and later save for `topk`, `jumprelu` and `standard` (batchtopk and matryoshka are saved as
jumprelu) without normalization at run time, and computes bit for bit what sae-lens computes. Everything else is left to
sae-lens. Imports torch: import this module inside functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from influence_assets.features.sae_files import SaeConfig

_TENSORS = {"W_enc", "b_enc", "W_dec", "b_dec"}
_ARCHITECTURES = {"topk": _TENSORS, "standard": _TENSORS, "jumprelu": _TENSORS | {"threshold"}}
_DTYPES = {"float32": torch.float32, "torch.float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, eq=False)
class LeanSae:
    """Weights and the three ways to make them sparse: `k` for topk, `threshold_F` for jumprelu, ReLU without either."""

    W_enc: torch.Tensor
    b_enc: torch.Tensor
    W_dec: torch.Tensor
    b_dec: torch.Tensor
    k: int | None
    threshold_F: torch.Tensor | None
    norm_F: torch.Tensor | None
    centre: bool

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`acts_N_D` to `latents_N_F`."""
        pre = (x.to(self.W_enc.dtype) - self.b_dec * self.centre) @ self.W_enc + self.b_enc
        if self.norm_F is not None:
            pre = pre * self.norm_F
        if self.k is not None:
            largest, at = torch.topk(pre, self.k, dim=-1, sorted=False)
            return torch.zeros_like(pre).scatter_(-1, at, largest.relu())
        return pre.relu() if self.threshold_F is None else pre.relu() * (pre > self.threshold_F)

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor:
        """`latents_N_F` to `acts_N_D`."""
        scaled = feature_acts if self.norm_F is None else feature_acts * (1 / self.norm_F)
        return scaled @ self.W_dec + self.b_dec


def lean_sae(config: SaeConfig, weights: Path, device: torch.device) -> LeanSae | None:
    """The SAE of a checked directory, or None where only sae-lens knows how to compute it."""
    kind = config.architecture
    if not config.plain or kind not in _ARCHITECTURES or config.dtype not in _DTYPES:
        return None
    if kind == "topk" and config.k is None:
        return None
    tensors = {name: tensor.to(device, _DTYPES[config.dtype]) for name, tensor in load_file(weights).items()}
    if set(tensors) != _ARCHITECTURES[kind]:
        return None
    return LeanSae(
        **{name: tensors[name] for name in sorted(_TENSORS)},
        k=int(config.k) if kind == "topk" and config.k is not None else None,
        threshold_F=tensors.get("threshold"),
        norm_F=tensors["W_dec"].norm(dim=-1) if config.rescale_acts_by_decoder_norm else None,
        centre=config.apply_b_dec_to_input,
    )
