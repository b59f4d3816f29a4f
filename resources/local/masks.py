"""Attention masks over the columns of a `KeyValues`. Imports torch: import this module inside functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from resources.local.passes import Layout
from resources.local.slots import Frame

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Masks:
    """The masks that one model wants: by kind of layer where it has several kinds, as numbers for eager attention."""

    def __init__(self, config: PreTrainedConfig, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        self._window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
        if self._window and not getattr(config, "layer_types", None):
            self._kinds = {"sliding_attention"}
        self._eager = config._attn_implementation == "eager"

    @property
    def known(self) -> bool:
        """Whether all layers are of kinds that a mask can be made for."""
        return not self._kinds - {"full_attention", "sliding_attention"}

    def of(self, frame: Frame, layout: Layout | None = None) -> torch.Tensor | dict[str, torch.Tensor] | None:
        """True (or 0) where a position is seen: columns up to its own, of a row with branches those of its own path;
        for sliding layers the last `window` positions of them."""
        if frame.past == 0 and layout is None:
            return None  # plain causal: the model makes that mask itself
        columns_K = torch.arange(frame.used, device=self._device)
        own_B_S_1 = (frame.columns_B_S if frame.start is None or layout else frame.columns_B_S[:1])[:, :, None]
        position_B_S_1, position_B_1_K = own_B_S_1, columns_K
        seen = columns_K <= own_B_S_1
        if layout is not None:
            position_B_K = np.arange(frame.used)[None].repeat(len(layout.ends_B_S), axis=0)
            ends_B_K = np.full_like(position_B_K, frame.used)
            new_B_S = frame.columns_B_S.cpu().numpy()
            np.put_along_axis(position_B_K, new_B_S, layout.positions_B_S, axis=1)
            np.put_along_axis(ends_B_K, new_B_S, layout.ends_B_S, axis=1)
            seen &= own_B_S_1 < torch.from_numpy(ends_B_K).to(self._device)[:, None]
            position_B_1_K = torch.from_numpy(position_B_K).to(self._device)[:, None]
            position_B_S_1 = torch.from_numpy(layout.positions_B_S).to(self._device)[:, :, None]
        masks = {"full_attention": seen}
        if "sliding_attention" in self._kinds and self._window:
            masks["sliding_attention"] = seen & (position_B_1_K > position_B_S_1 - self._window)
        ready = {kind: self._as_attention_wants(mask[:, None]) for kind, mask in masks.items()}
        return ready if len(self._kinds) > 1 else ready[next(iter(self._kinds))]

    def _as_attention_wants(self, seen: torch.Tensor) -> torch.Tensor:
        if not self._eager:
            return seen
        shut = torch.finfo(self._dtype).min
        return torch.zeros(seen.shape, dtype=self._dtype, device=self._device).masked_fill(~seen, shut)
