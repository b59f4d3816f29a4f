"""All public tables `features.*`; each is declared beside the code that fills it."""

from __future__ import annotations

from influence_assets.features.direction_tables import DIRECTIONS, SAE_FEATURE_MAP
from influence_assets.features.sae_tables import SAE_QUALITY, SAES
from influence_assets.features.steering_tables import ACTIVATIONS, DOSE_RESPONSE, LAYERS, STEERING
from influence_assets.features.stimulus_tables import BACKGROUNDS, CONTRAST_TEXTS
from influence_assets.features.trait_tables import SIDE_EFFECTS, TRAIT_ANSWERS, TRAIT_SCORES

__all__ = [
    "ACTIVATIONS",
    "BACKGROUNDS",
    "CONTRAST_TEXTS",
    "DIRECTIONS",
    "DOSE_RESPONSE",
    "LAYERS",
    "SAES",
    "SAE_FEATURE_MAP",
    "SAE_QUALITY",
    "SIDE_EFFECTS",
    "STEERING",
    "TABLES",
    "TRAIT_ANSWERS",
    "TRAIT_SCORES",
]

TABLES = (
    BACKGROUNDS,
    CONTRAST_TEXTS,
    ACTIVATIONS,
    LAYERS,
    SAES,
    SAE_QUALITY,
    SAE_FEATURE_MAP,
    DIRECTIONS,
    STEERING,
    DOSE_RESPONSE,
    TRAIT_ANSWERS,
    TRAIT_SCORES,
    SIDE_EFFECTS,
)
