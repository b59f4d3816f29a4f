"""Does a model give the same logits in shared rows as alone? Imports torch: import this module inside functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from resources.local.prefix import plan

if TYPE_CHECKING:
    from resources.local.engine import Engine

_ROW_TOKENS = (8, 16, 64)
"""A stem and what stands on it in passes of their own, some of it in the stem's row, and all in one row."""


def is_shared_rightly(engine: Engine) -> bool:
    """Runs four random sequences, three of which begin alike, plainly and shared; whether their logits agree.

    Leaves `engine.shares` true and its limits changed. Raises whatever a model raises whose cache or mask is of its
    own kind.
    """
    engine.shares = True
    tokens = np.random.default_rng(0).integers(0, engine.model.config.get_text_config().vocab_size, 40).tolist()
    sequences = [tokens[:14], tokens[:9] + tokens[14:26], tokens[:9] + tokens[26:29], tokens[29:]]
    alone_N_V = torch.stack([engine.forward([each], [(0, len(each) - 1)])[0][0] for each in sequences])
    tolerance = (1e-4 if torch.finfo(alone_N_V.dtype).bits >= 32 else 5e-2) * (float(alone_N_V.abs().max()) + 1.0)
    for row_tokens in _ROW_TOKENS:
        engine.limits = replace(engine.limits, row_tokens=row_tokens)
        for wave in engine.run(plan(sequences)):
            apart = (wave.logits_N_V.float() - alone_N_V[wave.numbers].float()).abs().max()
            if not apart < tolerance:
                return False
    return True
