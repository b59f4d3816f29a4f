"""Whether a latent writes what it promotes: output scores of SAE latents (Arad et al., arXiv 2505.20063).

The tokens that a latent promotes are those of its decoder row, read through the unembedding (the logit lens). The
output score amplifies the latent on a neutral prompt and asks how likely the best of those tokens becomes and how high
it ranks. It predicts whether steering with the latent works, which the texts that the latent is active on do not.

The formulas are those of the authors' published code. Forward passes are the caller's: arrays come in as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Tokens = NDArray[np.int64]

PROMOTED = 20
AMPLIFICATION = 10.0  # the authors amplify to this many times the latent's largest activation
_CHUNK_LOGITS = 8_000_000


class OutputScores(NamedTuple):
    """Per latent. `score_F` = (1 - rank / V) * probability of the best promoted token after amplification, 0 to 1.

    `rank_F` counts from 0 the tokens that are more likely. `gain_F` is the score less what the same tokens score
    without amplification: near 0 for a latent whose tokens are likely anyway.
    """

    score_F: Float64s
    rank_F: Tokens
    probability_F: Float64s
    gain_F: Float64s


def promoted_tokens(
    decoder_F_D: Floats, unembedding_V_D: Floats, norm_weight_D: Floats | None = None, *, k: int = PROMOTED
) -> Tokens:
    """[F, k]: the tokens whose logit each decoder row raises most, the most raised first, then the lower number.

    `norm_weight_D` is the weight of the model's final norm. Its division by the length is left out, since it changes
    no order. A LayerNorm takes off the mean before it applies its weight: give none for it, and an unembedding whose
    rows were multiplied by the weight and then centred (their mean over D taken away).
    """
    tokens, width = unembedding_V_D.shape
    if decoder_F_D.shape[1] != width:
        raise ValueError(f"decoder rows are {decoder_F_D.shape[1]} wide, the unembedding {width}")
    if not 1 <= k <= tokens:
        raise ValueError(f"cannot list {k} tokens of a vocabulary of {tokens}")
    rows_F_D = decoder_F_D if norm_weight_D is None else decoder_F_D * norm_weight_D
    size = max(1, _CHUNK_LOGITS // tokens)
    found = [_highest(rows_F_D[start : start + size] @ unembedding_V_D.T, k) for start in range(0, len(rows_F_D), size)]
    return np.concatenate(found) if found else np.empty((0, k), dtype=np.int64)


def output_scores(promoted_F_K: Tokens, after_F_V: Floats, before_V: Floats) -> OutputScores:
    """Scores from next-token probabilities at the end of a neutral prompt.

    `after_F_V` with each latent amplified in turn, `before_V` without. Raises `ValueError` where they are not
    probabilities. Take the mean over several prompts for a score that does not hang on one.
    """
    vocabulary = before_V.size
    if after_F_V.shape != (len(promoted_F_K), vocabulary):
        raise ValueError(f"probabilities of shape {after_F_V.shape}; expected {(len(promoted_F_K), vocabulary)}")
    _check_probabilities(after_F_V)
    _check_probabilities(before_V[None])
    probability_F, rank_F = _best(promoted_F_K, after_F_V)
    before_F, before_rank_F = _best(promoted_F_K, np.broadcast_to(before_V, after_F_V.shape))
    score_F = (1 - rank_F / vocabulary) * probability_F
    return OutputScores(score_F, rank_F, probability_F, score_F - (1 - before_rank_F / vocabulary) * before_F)


def _highest(logits_F_V: Floats, k: int) -> Tokens:
    """The k largest of each row; equal ones at the edge by their number, so that the answer never hangs on a sort."""
    edge_F = np.partition(logits_F_V, -k, axis=1)[:, -k]
    result_F_K = np.empty((len(logits_F_V), k), dtype=np.int64)
    for row, (logits_V, edge) in enumerate(zip(logits_F_V, edge_F, strict=True)):
        candidates = np.flatnonzero(logits_V >= edge)
        result_F_K[row] = candidates[np.argsort(-logits_V[candidates], kind="stable")[:k]]
    return result_F_K


def _best(promoted_F_K: Tokens, probabilities_F_V: Floats) -> tuple[Float64s, Tokens]:
    """Probability and rank, from 0, of the likeliest promoted token of each latent."""
    best_F = np.take_along_axis(probabilities_F_V, promoted_F_K, axis=1).max(axis=1)
    rank_F = (probabilities_F_V > best_F[:, None]).sum(axis=1)
    return best_F.astype(np.float64), rank_F


def _check_probabilities(probabilities_F_V: Floats) -> None:
    sums_F = probabilities_F_V.sum(axis=1, dtype=np.float64)
    if not (np.abs(sums_F - 1) < 1e-3).all() or (probabilities_F_V < 0).any():
        raise ValueError(f"a row sums to {sums_F.flat[np.abs(sums_F - 1).argmax()]:.4g}; expected probabilities")
