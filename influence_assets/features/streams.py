"""The residual stream after chosen blocks, computed no further than the last of them.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel

from resources.local.blocks import block_at, stream_of

Output = torch.Tensor | tuple[torch.Tensor, ...]


class _Enough(Exception):
    """The last wanted block has run."""


def streams_after(
    model: PreTrainedModel, layers: Sequence[int], inputs: dict[str, torch.Tensor | bool]
) -> dict[int, torch.Tensor]:
    """Streams `[rows, positions, width]` by layer for the inputs of one forward pass; later blocks do not run.

    Raises `InputError` for a layer that the model lacks. No hook stays behind.
    """
    streams: dict[int, torch.Tensor] = {}
    last = max(layers)

    def catch(layer: int) -> Callable[[torch.nn.Module, object, Output], None]:
        def hook(_module: torch.nn.Module, _args: object, output: Output) -> None:
            streams[layer] = stream_of(output)
            if layer == last:
                raise _Enough

        return hook

    # All are looked up first: a layer that does not exist must leave no hook behind.
    found = [(layer, block_at(model, layer).module) for layer in layers]
    hooks = [block.register_forward_hook(catch(layer)) for layer, block in found]
    try:
        model.base_model(**inputs)
    except _Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return streams
