"""Block outputs of chats, computed no further than the block.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from transformers import PreTrainedModel

from influence_assets.features.sae_text import ChatTokens, Ints, Padded, padded_batches, training_order
from influence_assets.features.streams import streams_after


@torch.no_grad()
def block_output(model: PreTrainedModel, layer: int, batch: Padded) -> torch.Tensor:
    """The stream `[rows, positions, width]` after block `layer`; later blocks do not run."""
    return streams_after(model, [layer], model_inputs(batch, model.device))[layer]


def model_inputs(batch: Padded, device: torch.device) -> dict[str, torch.Tensor | bool]:
    """Keyword arguments of a forward pass without a cache."""
    ids_B_S, real_B_S = (torch.from_numpy(array).to(device) for array in (batch.ids_B_S, batch.real_B_S))
    return {"input_ids": ids_B_S, "attention_mask": real_B_S.long(), "use_cache": False}


def chat_activations(model: PreTrainedModel, layer: int, chats: ChatTokens, rows: Ints | None = None) -> torch.Tensor:
    """float32 block outputs `acts_N_D` of the tokens that count, row after row in the order given (default: all)."""
    rows = np.arange(len(chats.rows)) if rows is None else rows
    starts = np.cumsum(chats.counted[rows]) - chats.counted[rows]
    start_of = dict(zip(rows.tolist(), starts.tolist(), strict=True))
    width = int(model.config.get_text_config().hidden_size)
    acts_N_D = torch.empty(int(chats.counted[rows].sum()), width, dtype=torch.float32, device=model.device)
    for batch in padded_batches(chats, rows):
        stream_B_S_D = block_output(model, layer, batch).float()
        for row, stream_S_D in zip(batch.rows_B.tolist(), stream_B_S_D, strict=True):
            length = len(chats.rows[row]) - chats.skip_first
            acts_N_D[start_of[row] : start_of[row] + length] = stream_S_D[chats.skip_first :][:length]
    return acts_N_D


class ActivationStream:
    """Training batches of activations: endless, the same for the same arguments, and startable at any step.

    At most `buffer_mb` of activations are in memory. Text that fits is run through the model once, however often it
    is gone through.
    """

    def __init__(
        self, model: PreTrainedModel, layer: int, chats: ChatTokens, *, batch_size: int, buffer_mb: int, seed: int
    ) -> None:
        self._model, self._layer, self._chats = model, layer, chats
        self._batch_size, self._seed = batch_size, seed
        bytes_per_token = 4 * int(model.config.get_text_config().hidden_size)
        self._buffer_tokens = max(buffer_mb * 2**20 // bytes_per_token, 8 * batch_size)
        self._held: tuple[bytes, torch.Tensor] | None = None

    def batches(self, first_step: int = 0) -> Iterator[torch.Tensor]:
        """`acts_B_D` of step `first_step`, of the next, and so on."""
        size = self._batch_size
        for stretch in training_order(self._chats, size, self._buffer_tokens, self._seed):
            begin = max(0, first_step - stretch.first_step) * size
            if begin >= len(stretch.order_T):
                continue
            acts_N_D = self._activations(stretch.rows)
            order_T = torch.from_numpy(stretch.order_T).to(acts_N_D.device)
            for at in range(begin, len(order_T), size):
                yield acts_N_D[order_T[at : at + size]]

    def first(self) -> torch.Tensor:
        """`acts_N_D` of everything in the first buffer: what the scale of activations is estimated from."""
        return self._activations(
            next(training_order(self._chats, self._batch_size, self._buffer_tokens, self._seed)).rows
        )

    def _activations(self, rows: Ints) -> torch.Tensor:
        name = rows.tobytes()
        if self._held is None or self._held[0] != name:
            self._held = None  # two buffers at once would be twice the memory that was asked for
            self._held = (name, chat_activations(self._model, self._layer, self._chats, rows))
        return self._held[1]
