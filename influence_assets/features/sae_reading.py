"""What one latent of an SAE reads of the stream, for clamping and capping it.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.sae import Sae
from resources.direction_files import Reading


def reading_of(sae: Sae, vector_D: NDArray[np.float64]) -> Reading | None:
    """The encoder of the latent whose decoder row points along a unit vector; None where no row does.

    z = w.h + b and the latent is z above its threshold, else 0. An SAE that keeps the k largest latents of a token has
    no threshold of its own: there the latent counts wherever it is positive, also where it is not among the k.
    """
    rows_F_D = sae.decoder_F_D.double().cpu().numpy()
    lengths_F = np.linalg.norm(rows_F_D, axis=1)
    cosine_F = rows_F_D @ vector_D / np.where(lengths_F > 0, lengths_F, 1.0)
    latent = int(cosine_F.argmax())
    weights, biases = getattr(sae.coder, "W_enc", None), getattr(sae.coder, "b_enc", None)
    if cosine_F[latent] < 1 - 1e-4 or weights is None or biases is None or sae.centred:
        return None
    weight_D = weights[:, latent].detach().double().cpu().numpy()
    bias = float(biases[latent])
    if getattr(sae.coder, "centre", False):
        bias -= float(sae.coder.b_dec.double().cpu().numpy() @ weight_D)  # type: ignore[attr-defined]
    norms, thresholds = getattr(sae.coder, "norm_F", None), getattr(sae.coder, "threshold_F", None)
    threshold = 0.0 if thresholds is None else float(thresholds[latent])
    # What the latent writes along its unit vector per unit of activation: the length of its decoder row, unless latents
    # are counted in such lengths already.
    scale, written = (1.0, float(lengths_F[latent])) if norms is None else (float(norms[latent]), 1.0)
    return Reading(weight_D * scale * written, bias * scale * written, threshold * written)
