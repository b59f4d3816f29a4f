"""The decoder blocks of a `transformers` model, whatever its architecture calls them, and what comes out of them.

The residual stream after block k is the output of module `blocks(model)[k]`. Layers are numbered from 0. A block
returns a tensor in `transformers` 5, a tuple that begins with one in older code.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from resources.errors import InputError


class Block(NamedTuple):
    """One decoder block: its name in the model (such as `model.layers.3` or `transformer.h.3`) and the module."""

    name: str
    module: torch.nn.Module


def blocks(model: PreTrainedModel) -> list[Block]:
    """The decoder blocks in order: the list of as many modules as the text config has hidden layers.

    Raises `InputError` when the model has no such list, naming the lists that it has.
    """
    wanted = int(model.config.get_text_config().num_hidden_layers)
    lists = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    found = [name for name, module in lists.items() if len(module) == wanted]
    if not found:
        sizes = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise InputError(
            f"no list of its {wanted} decoder blocks is found in this model",
            field=type(model).__name__,
            fix=f"it has these lists of modules: {sizes}",
        )
    name = min(found, key=lambda name: (name.count("."), found.index(name)))  # experts and the like lie deeper
    return [Block(f"{name}.{number}", module) for number, module in enumerate(lists[name])]


def block_at(model: PreTrainedModel, layer: int) -> Block:
    """The block of one layer, 0 the first; an `InputError` that lists what exists for any other number."""
    found = blocks(model)
    if not 0 <= layer < len(found):
        raise InputError(
            f"the model {model.config.model_type} has {len(found)} layers",
            field="layer",
            value=layer,
            fix=f"choose one of 0 to {len(found) - 1} ({found[0].name} to {found[-1].name})",
        )
    return found[layer]


def stream_of(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The residual stream `[rows, positions, width]` in what a block returned."""
    return output if isinstance(output, torch.Tensor) else output[0]


def with_stream(
    output: torch.Tensor | tuple[torch.Tensor, ...], stream_B_S_D: torch.Tensor
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """What a block returned, with another residual stream in it."""
    return stream_B_S_D if isinstance(output, torch.Tensor) else (stream_B_S_D, *output[1:])
