"""Direction files as pushes on a model in memory. Imports torch: import this module inside functions."""

from __future__ import annotations

import torch

from resources.direction_files import read_direction
from resources.local.steering import LoadedPush, Reader
from resources.steering import FoundPush


def load_push(push: FoundPush) -> LoadedPush:
    """The push with its vector. Raises `InputError` when the file is damaged or no longer the one that was hashed."""
    direction = read_direction(push.path)
    push.check_unchanged()
    reader = None
    if direction.reading is not None:
        weight_D = torch.from_numpy(direction.reading.weight_D)
        reader = Reader(weight_D, direction.reading.bias, direction.reading.threshold)
    return LoadedPush(
        layer=direction.origin.layer,
        vector_D=torch.from_numpy(direction.vector_D),
        strength=push.coefficient * direction.origin.scale,
        mode=push.mode,
        positions=push.positions,
        reader=reader,
    )
