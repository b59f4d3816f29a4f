"""The difference-in-means directions of the persona's traits, added to the residual stream."""

from __future__ import annotations

from influence_assets.steerability.internal import ByDirections

METHOD = ByDirections("control_vector", "difference_in_means")
