"""All public tables of the family, by the modules that fill them."""

from __future__ import annotations

from influence_assets.features.direction_tables import DIRECTIONS, SAE_FEATURE_MAP
from influence_assets.features.sae_tables import SAE_QUALITY, SAES
from influence_assets.features.steering_tables import ACTIVATIONS, DOSE_RESPONSE, LAYERS, STEERING
from influence_assets.features.stimulus_tables import BACKGROUNDS, CONTRAST_TEXTS
from influence_assets.features.trait_tables import SIDE_EFFECTS, TRAIT_ANSWERS, TRAIT_SCORES

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
