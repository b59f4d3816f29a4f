"""The SAE latents that write the persona's traits (those that pass the output-score filter), added to the stream."""

from __future__ import annotations

from influence_assets.steerability.internal import ByDirections

METHOD = ByDirections("sae_features", "sae_filtered")
