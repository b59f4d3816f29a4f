"""How much the list of a category's best latents owes to the very texts that were drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.resampling import counts

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Booleans = NDArray[np.bool_]

POOL = 500
_CHUNK_PAIRS = 4_000_000


def top_k_stability(
    latents_N_F: Floats,
    own_N: Booleans,
    others_N: Booleans,
    order_F: NDArray[np.int64],
    *,
    k: int,
    draws: int,
    seed: int,
    pool: int = POOL,
) -> float:
    """Mean Jaccard overlap of the k best latents with those of bootstrap resamples of the texts, 0 to 1.

    `own_N` and `others_N` are resampled each within itself. `order_F` ranks all latents, best first; only the first
    `pool` compete in the resamples (a latent that far down does not come back among the first k), so that the cost does
    not grow with the width of the SAE. Latents are compared by AUROC, then by difference of means, then by `order_F`.
    """
    pool_K = order_F[: max(pool, k)]
    own_P_K, others_M_K = latents_N_F[np.ix_(own_N, pool_K)], latents_N_F[np.ix_(others_N, pool_K)]
    rng = np.random.default_rng(seed)
    own_B_P = counts(len(own_P_K), draws, rng).astype(np.float64) / len(own_P_K)
    others_B_M = counts(len(others_M_K), draws, rng).astype(np.float64) / len(others_M_K)
    auroc_B_K = _resampled_aurocs(own_P_K, others_M_K, own_B_P, others_B_M)
    difference_B_K = own_B_P @ own_P_K - others_B_M @ others_M_K
    place_K = np.arange(len(pool_K))
    top = set(range(min(k, len(pool_K))))
    overlaps = []
    for auroc_K, difference_K in zip(auroc_B_K, difference_B_K, strict=True):
        again = set(np.lexsort((place_K, -difference_K, -np.round(auroc_K, 12)))[:k].tolist())
        overlaps.append(len(top & again) / len(top | again))
    return float(np.mean(overlaps))


def _resampled_aurocs(own_P_K: Floats, others_M_K: Floats, own_B_P: Float64s, others_B_M: Float64s) -> Float64s:
    """[B, K]: AUROC of every latent in every resample, weights per row summing to 1.

    With H[p, m] = 1, 1/2 or 0 as the own text lies above, level with or below the other, it is w_own H w_others.
    """
    result_B_K = np.empty((len(own_B_P), own_P_K.shape[1]))
    size = max(1, _CHUNK_PAIRS // (len(own_P_K) * len(others_M_K)))
    for start in range(0, own_P_K.shape[1], size):
        own_P_C, others_M_C = own_P_K[:, start : start + size], others_M_K[:, start : start + size]
        higher_P_MC = np.heaviside(own_P_C[:, None, :] - others_M_C[None], 0.5).reshape(len(own_P_C), -1)
        above_B_M_C = (own_B_P @ higher_P_MC).reshape(len(own_B_P), *others_M_C.shape)
        result_B_K[:, start : start + size] = np.einsum("bm,bmc->bc", others_B_M, above_B_M_C)
    return result_B_K
