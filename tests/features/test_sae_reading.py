"""What a direction of one latent reads is that latent's activation, as the SAE itself encodes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from influence_assets.features.sae import Sae
from influence_assets.features.sae_lean import LeanSae
from influence_assets.features.sae_reading import reading_of


def sae(*, threshold: bool, rescaled: bool, centre: bool) -> Sae:
    draw = torch.Generator().manual_seed(0)
    w_dec = torch.randn(6, 4, generator=draw, dtype=torch.float64)
    if not rescaled:
        w_dec = w_dec / w_dec.norm(dim=1, keepdim=True)
    coder = LeanSae(
        W_enc=torch.randn(4, 6, generator=draw, dtype=torch.float64),
        b_enc=torch.randn(6, generator=draw, dtype=torch.float64),
        W_dec=w_dec,
        b_dec=torch.randn(4, generator=draw, dtype=torch.float64),
        k=None,
        threshold_F=torch.full((6,), 0.4, dtype=torch.float64) if threshold else None,
        norm_F=w_dec.norm(dim=1) if rescaled else None,
        centre=centre,
    )
    return Sae(0, "h", "jumprelu", 6, 4, None, "here", "0", coder)


@pytest.mark.parametrize("threshold", [True, False])
@pytest.mark.parametrize("rescaled", [True, False])
@pytest.mark.parametrize("centre", [True, False])
def test_the_reading_is_the_latent_in_units_of_its_direction(threshold, rescaled, centre) -> None:
    one = sae(threshold=threshold, rescaled=rescaled, centre=centre)
    acts = np.random.default_rng(1).normal(size=(50, 4))
    latents = one.encode(torch.from_numpy(acts)).numpy()
    written = one.decode(torch.from_numpy(latents)) - one.coder.b_dec
    for latent in range(6):
        row = one.decoder_F_D[latent].numpy()
        direction = row / np.linalg.norm(row)
        reading = reading_of(one, direction)
        assert reading is not None
        z = acts @ reading.weight_D + reading.bias
        read = np.where(z > reading.threshold, z, 0.0)
        # What this latent alone writes into the stream, along its own direction.
        alone = np.zeros_like(latents)
        alone[:, latent] = latents[:, latent]
        wrote = (one.decode(torch.from_numpy(alone)) - one.coder.b_dec).numpy() @ direction
        np.testing.assert_allclose(read, wrote, atol=1e-9)
    assert written.shape == acts.shape


def test_a_vector_of_no_latent_has_no_reading() -> None:
    one = sae(threshold=False, rescaled=False, centre=True)
    mixed = (one.decoder_F_D[0] + one.decoder_F_D[1]).numpy()
    assert reading_of(one, mixed / np.linalg.norm(mixed)) is None
