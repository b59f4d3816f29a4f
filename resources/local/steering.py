"""Steering a `transformers` model: plain forward hooks on its decoder blocks, and where they act.

What is promised: a coefficient of 0 changes no bit; adding is linear in the coefficient; a sequence is steered alike in
one pass, in cached and uncached decoding, alone, in a batch and with padding; hooks are gone when the context is left,
also by an exception. Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from resources.errors import InputError
from resources.local.blocks import block_at, stream_of, with_stream
from resources.steering import Mode, Positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Output = torch.Tensor | tuple[torch.Tensor, ...]
Hook = torch.utils.hooks.RemovableHandle


@dataclass(frozen=True, slots=True)
class Reader:
    """What an SAE reads of the stream for one latent: z = w.h + bias, and z where it exceeds `threshold`, else 0."""

    weight_D: torch.Tensor
    bias: float
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadedPush:
    """A push ready for use: unit vector(s) of one layer, and the strength c * s in units of the stream.

    `vector_D` may be any vector; it is used as it is. `reader` is what clamp and cap measure; v.h without one.
    """

    layer: int
    vector_D: torch.Tensor
    strength: float
    mode: Mode = Mode.ADD
    positions: Positions = Positions.ALL
    reader: Reader | None = None

    def change(self, stream_B_S_D: torch.Tensor) -> torch.Tensor:
        """What is added to the stream, of its shape or one that broadcasts to it."""
        vector_D = self.vector_D.to(stream_B_S_D)
        if self.mode is Mode.ADD:
            return self.strength * vector_D
        along_B_S = stream_B_S_D @ vector_D
        if self.mode is Mode.ABLATE:
            return -along_B_S[..., None] * vector_D
        if self.reader is not None:
            z_B_S = stream_B_S_D @ self.reader.weight_D.to(stream_B_S_D) + self.reader.bias
            along_B_S = z_B_S.where(z_B_S > self.reader.threshold, 0.0)
        if self.mode is Mode.CLAMP:
            return (self.strength - along_B_S)[..., None] * vector_D
        return -(along_B_S - self.strength).clamp(min=0.0)[..., None] * vector_D


class Places:
    """Where the tokens of the present forward pass stand: their index in the sequence, and the prompt's length."""

    def __init__(self) -> None:
        self.index_B_S: torch.Tensor | None = None
        self.prompt_B: torch.Tensor | None = None

    def of(self, positions: Positions) -> torch.Tensor | None:
        """Which tokens are steered, `[rows, new tokens]`; None for all of them."""
        if positions is Positions.ALL:
            return None
        assert self.index_B_S is not None, "where the tokens stand was not said"
        assert self.prompt_B is not None, "how long the prompts are was not said"
        index_B_S, end_B_1 = self.index_B_S, self.prompt_B[:, None]
        if positions is Positions.PROMPT:
            return index_B_S < end_B_1
        if positions is Positions.LAST:
            return index_B_S == end_B_1 - 1
        if positions is Positions.ALL_BUT_LAST:
            return index_B_S < end_B_1 - 1
        return index_B_S >= end_B_1


class Hooks:
    """The pushes that are on one model just now."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._hooks: list[Hook] = []
        self.places = Places()

    def put_on(self, pushes: Sequence[LoadedPush]) -> None:
        """From now on the model is steered by these and no others. Raises `InputError` for a layer or a width that
        the model does not have; it is then not steered at all."""
        self.take_off()
        for layer in sorted({push.layer for push in pushes}):
            block, own = block_at(self._model, layer), [push for push in pushes if push.layer == layer]
            for push in own:
                self._check_width(push)
            self._hooks.append(block.module.register_forward_hook(self._hook(own)))

    def take_off(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _check_width(self, push: LoadedPush) -> None:
        width = int(self._model.config.get_text_config().hidden_size)
        if push.vector_D.shape != (width,):
            self.take_off()
            raise InputError(
                f"a direction of {list(push.vector_D.shape)} numbers does not fit a model of width {width}",
                field=f"layer {push.layer}",
                fix="use a direction that was made on this model",
            )

    def _hook(self, pushes: Sequence[LoadedPush]):  # type: ignore[no-untyped-def]
        def steer(_module: torch.nn.Module, _args: object, output: Output) -> Output:
            stream_B_S_D = stream_of(output)
            for push in pushes:
                steered_B_S = self.places.of(push.positions)
                change = push.change(stream_B_S_D)
                if steered_B_S is not None:
                    change = change * steered_B_S[..., None].to(stream_B_S_D)
                stream_B_S_D = stream_B_S_D + change
            return with_stream(output, stream_B_S_D)

        return steer


@contextmanager
def steered(
    model: PreTrainedModel, pushes: Sequence[LoadedPush], prompt_lengths: Sequence[int] | None = None
) -> Iterator[None]:
    """The model is steered inside of this context, in its own forward and `generate`, cached or not, padded or not.

    Positions are told from the attention mask and the cache. `prompt_lengths` are the prompts' tokens, pads not
    counted; without them a pass without a past is all prompt and what follows in its cache is generated, so uncached
    decoding of anything but `Positions.ALL` must give them. Raises `InputError` for a layer or a width that the model
    does not have.
    """
    hooks = Hooks(model)
    watch = model.base_model.register_forward_pre_hook(_watch(hooks.places, prompt_lengths), with_kwargs=True)
    try:
        hooks.put_on([push for push in pushes if push.mode is not Mode.ADD or push.strength != 0.0])
        yield
    finally:
        hooks.take_off()
        watch.remove()


def _watch(places: Places, prompt_lengths: Sequence[int] | None):  # type: ignore[no-untyped-def]
    """Before each pass of the trunk: works out where its tokens stand."""

    def note(_module: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        tokens = kwargs.get("input_ids", args[0] if args else None)
        tokens = kwargs.get("inputs_embeds") if tokens is None else tokens
        assert isinstance(tokens, torch.Tensor)
        rows, new = tokens.shape[:2]
        past = kwargs.get("past_key_values")
        seen = int(past.get_seq_length()) if past is not None else 0  # type: ignore[attr-defined]
        mask = kwargs.get("attention_mask")
        if isinstance(mask, torch.Tensor) and mask.ndim == 2:
            index_B_S = mask.long().cumsum(-1)[:, -new:] - 1
        else:
            index_B_S = torch.arange(seen, seen + new, device=tokens.device).expand(rows, new)
        places.index_B_S = index_B_S
        if prompt_lengths is not None:
            places.prompt_B = torch.tensor(prompt_lengths, device=tokens.device)
        elif not seen:
            places.prompt_B = index_B_S[:, -1] + 1

    return note
