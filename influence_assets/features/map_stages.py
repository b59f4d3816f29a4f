"""The feature map as the asset calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.features.backgrounds import Half
from influence_assets.features.contrasts import Labelled, contrast_of
from influence_assets.features.direction_contrast import SaeLatents
from influence_assets.features.direction_records import feature_map_rows
from influence_assets.features.direction_tables import SAE_FEATURE_MAP
from influence_assets.features.feature_labels import FactorLabels
from influence_assets.features.feature_map import MappedLatent, MapSettings, feature_map
from influence_assets.features.neutral import load_neutral
from influence_assets.features.output_score import output_scores, promoted_tokens
from influence_assets.features.patterns import read_patterns
from influence_assets.features.reading_stages import labelled_sets
from influence_assets.features.sae_stages import open_sae
from influence_assets.features.sae_tables import SAES, SaeRow
from influence_assets.features.steering_tables import ACTIVATIONS, ActivationRow
from influence_assets.features.stimulus_tables import CONTRAST_TEXTS, ContrastText
from influence_assets.features.study_design import (
    checkpoint_of,
    factors_of,
    no_rows,
    opened_checkpoint,
)
from influence_assets.features.text_sets import Label, TextSet
from influence_assets.rows import from_frame, to_frame
from influence_assets.stats.auroc import aurocs
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.errors import InputError
from resources.messages import Message

if TYPE_CHECKING:
    from influence_assets.features.sae import Sae
    from resources.local.opened import OpenModel

AMPLIFICATION = 10.0
PROBED_PROMPTS = 4
Floats = NDArray[np.floating]


def map_features(step: Step, k: int) -> Frames:
    """Which latents carry which category at iteration k, read from the texts' activations through the SAE."""
    saes, rows = from_frame(SaeRow, step.read(SAES)), from_frame(ActivationRow, step.read(ACTIVATIONS, iteration=k))
    if not saes or not rows:
        return no_rows(step, SAE_FEATURE_MAP)
    settings, sae_row, sets = step.study.features, saes[0], labelled_sets(step.project.root, rows)
    texts = from_frame(ContrastText, step.read(CONTRAST_TEXTS))
    with opened_checkpoint(step, checkpoint_of(step, k)) as model:
        sae = open_sae(step, sae_row, model)
        latents_N_F = _text_latents(step, rows, sae)
        labels = _labels(sets[TextSet.CONTRAST].labels)
        heldout_N = np.array([text.half == Half.HELDOUT.value for text in texts])
        mapped = feature_map(
            latents_N_F,
            [text.text_id for text in texts],
            labels,
            heldout_N,
            MapSettings(keep=settings.keep, seed=step.study.seed),
        )
        scores, promoted = _output_scores(step, model, sae, mapped, latents_N_F)
    patterns = read_patterns(step.project.root / settings.patterns) if settings.patterns else ()
    rows_out = feature_map_rows(
        mapped,
        model=step.partition,
        iteration=k,
        sae=sae_row.sae,
        layer=sae_row.layer,
        output_scores=scores,
        promoted=promoted,
        explanations={pattern.feature_id: pattern.explanation for pattern in patterns},
    )
    return {SAE_FEATURE_MAP: to_frame(SAE_FEATURE_MAP, rows_out)}


def _text_latents(step: Step, rows: Sequence[ActivationRow], sae: Sae) -> Floats:
    """`[texts, latents]`: each latent's mean activation over the tokens of each contrast text."""
    import torch

    from influence_assets.features.activation_files import read_activations

    found = [row for row in rows if row.text_set == TextSet.TOKENS.value and row.layer == sae.layer]
    if not found:
        raise InputError(
            "there are no activations at the SAE's layer",
            place="features.activations",
            field="layer",
            value=sae.layer,
            fix="materialize features/activations again",
        )
    acts = read_activations(step.project.root / found[0].path)
    means = []
    for start, end in zip(acts.offsets[:-1], acts.offsets[1:], strict=True):
        acts_S_D = torch.from_numpy(acts.acts_N_D[start:end]).to(sae.decoder_F_D.device)
        means.append(sae.encode(acts_S_D).mean(dim=0).float().cpu().numpy())
    return np.stack(means)


def _labels(labels: Sequence[Label]) -> list[FactorLabels]:
    names = dict.fromkeys(label.factor for label in labels)
    return [
        FactorLabels(name, [label.category if label.factor == name else None for label in labels]) for name in names
    ]


def _output_scores(
    step: Step, model: OpenModel, sae: Sae, mapped: Sequence[MappedLatent], latents_N_F: Floats
) -> tuple[dict[int, float], dict[int, list[str]]]:
    """Output scores of the kept latents, a mean over neutral prompts, and the tokens that they promote."""
    from influence_assets.features.amplified import next_token, unembedding

    latents = sorted({one.feature_id for one in mapped})
    if not latents:
        return {}, {}
    decoder_K_D = sae.decoder_F_D[latents].float().cpu().numpy()
    promoted_K_T = promoted_tokens(decoder_K_D, *unembedding(model))
    strength_K = AMPLIFICATION * latents_N_F[:, latents].max(axis=0)
    texts = load_neutral(step.project.data, step.study.features.steering.neutral)[:PROBED_PROMPTS]
    scores = []
    for text in texts:
        prompt = model.chat.tokens((Message(role="user", content=text),))
        before_V = next_token(model, prompt, sae.layer, np.zeros((1, model.width), dtype=np.float32))[0]
        after_K_V = next_token(model, prompt, sae.layer, decoder_K_D * strength_K[:, None])
        scores.append(output_scores(promoted_K_T, after_K_V, before_V).score_F)
    words = [[model.chat.decode([int(token)], keep_special=True) for token in tokens[:10]] for tokens in promoted_K_T]
    return dict(zip(latents, np.mean(scores, axis=0).tolist(), strict=True)), dict(zip(latents, words, strict=True))


def latents_of_categories(
    step: Step, sae: Sae, rows: Sequence[ActivationRow], sets: Mapping[TextSet, Labelled], mapped: pl.DataFrame
) -> dict[tuple[str, str], SaeLatents]:
    """What directions of SAE latents are made of, per (factor, category), from the selection half alone."""
    latents_N_F, texts = _text_latents(step, rows, sae), sets[TextSet.CONTRAST]
    scores = dict(mapped.select("feature_id", "output_score").iter_rows())
    output_F = np.array([scores.get(latent) or np.nan for latent in range(sae.width)], dtype=np.float64)
    decoder_F_D = sae.decoder_F_D.double().cpu().numpy()
    found = {}
    for factor in factors_of(step):
        for category in factor.categories:
            own = texts.rows(factor.name, [category], Half.SELECTION)
            other = texts.rows(factor.name, contrast_of(factor, category), Half.SELECTION)
            member_N = np.arange(len(own) + len(other)) < len(own)
            found[factor.name, category] = SaeLatents(
                decoder_F_D,
                aurocs(latents_N_F[[*own, *other]], member_N[None])[0],
                latents_N_F[own].mean(axis=0) - latents_N_F[other].mean(axis=0),
                output_F,
            )
    return found
