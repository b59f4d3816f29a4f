"""Direction files as pushes on a model in memory. Imports torch: import this module inside functions."""

from __future__ import annotations

from collections import OrderedDict

import torch

from resources.direction_files import read_direction
from resources.local.steering import LoadedPush, Reader
from resources.steering import FoundPush


class LoadedPushes:
    """Pushes in memory, the last used ones kept: setups take turns, and each turn would read its files again."""

    def __init__(self, keep: int = 512) -> None:
        self._keep = keep
        self._loaded: OrderedDict[FoundPush, LoadedPush] = OrderedDict()

    def of(self, steering: tuple[FoundPush, ...]) -> list[LoadedPush]:
        """The pushes of a steering, in its order. Raises as `load_push` does."""
        for push in steering:
            if push not in self._loaded:
                self._loaded[push] = load_push(push)
            self._loaded.move_to_end(push)
            while len(self._loaded) > max(self._keep, len(steering)):
                self._loaded.popitem(last=False)
        return [self._loaded[push] for push in steering]


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
