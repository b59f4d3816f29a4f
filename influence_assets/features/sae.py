"""A sparse autoencoder in hand: latents of activations, activations of latents, and whose they are.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from resources.errors import InputError


class Coder(Protocol):
    """The numbers of an SAE: sae-lens's own object, or the lean one of `sae_lean`."""

    @property
    def W_dec(self) -> torch.Tensor: ...

    def encode(self, x: torch.Tensor) -> torch.Tensor: ...

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Sae:
    """An SAE of the output of block `layer`, with `width` latents of activations of width `d_in`.

    `architecture` is what it was trained as (a batchtopk SAE encodes as jumprelu). `centred`: it was trained on
    activations less their mean over the width (TransformerLens's `center_writing_weights`); encoding takes the mean off
    and `reconstruct` puts it back. `per_token_scale`: it scales each token by what it reads there, so that latents
    alone cannot be decoded. `source` says where it came from; `sha256` names its content.
    """

    layer: int
    hook: str
    architecture: str
    width: int
    d_in: int
    k: float | None
    source: str
    sha256: str
    coder: Coder
    centred: bool = False
    per_token_scale: bool = False

    @property
    def decoder_F_D(self) -> torch.Tensor:
        """One row per latent: what it adds to the residual stream per unit of its activation."""
        return self.coder.W_dec.detach()

    @torch.no_grad()
    def encode(self, acts_N_D: torch.Tensor) -> torch.Tensor:
        """`latents_N_F`, 0 where a latent is off, in the SAE's own precision. Any leading shape will do."""
        return self.coder.encode(self.read(acts_N_D))

    @torch.no_grad()
    def decode(self, latents_N_F: torch.Tensor) -> torch.Tensor:
        """`acts_N_D` as the latents say. Raises `InputError` for an SAE that scales each token."""
        if self.per_token_scale:
            problem = "this SAE scales each token by its own norm, so that latents alone cannot be decoded"
            raise InputError(problem, field="sae", value=self.source, fix="reconstruct activations, or use another SAE")
        return self.coder.decode(latents_N_F)

    @torch.no_grad()
    def reconstruct(self, acts_N_D: torch.Tensor) -> torch.Tensor:
        """`acts_N_D` through the latents and back, in the SAE's own precision."""
        rebuilt_N_D = self.coder.decode(self.coder.encode(self.read(acts_N_D)))
        return rebuilt_N_D + acts_N_D.mean(dim=-1, keepdim=True) if self.centred else rebuilt_N_D

    def read(self, acts_N_D: torch.Tensor) -> torch.Tensor:
        """The part of activations that the SAE sees: all, or all but the mean over the width."""
        return acts_N_D - acts_N_D.mean(dim=-1, keepdim=True) if self.centred else acts_N_D
