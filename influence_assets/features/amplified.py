"""What amplifying an SAE's latents does to the next token. Imports torch: import this module inside functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from resources.local.blocks import block_at, stream_of, with_stream
from resources.local.opened import OpenModel

Floats = NDArray[np.floating]
ROWS = 64


@torch.inference_mode()
def next_token(opened: OpenModel, prompt: Sequence[int], layer: int, additions_F_D: Floats) -> NDArray[np.float64]:
    """Probabilities `[F, vocabulary]` after a prompt with each addition in turn put onto every position's stream."""
    found = []
    block = block_at(opened.model, layer).module
    for start in range(0, len(additions_F_D), ROWS):
        added = torch.from_numpy(np.asarray(additions_F_D[start : start + ROWS])).to(opened.device)

        def put(
            _module: torch.nn.Module,
            _args: object,
            output: torch.Tensor | tuple[torch.Tensor, ...],
            added: torch.Tensor = added,
        ) -> torch.Tensor | tuple[torch.Tensor, ...]:
            stream_B_S_D = stream_of(output)
            return with_stream(output, stream_B_S_D + added[:, None].to(stream_B_S_D))

        hook = block.register_forward_hook(put)
        try:
            ids = torch.tensor([list(prompt)] * len(added), device=opened.device)
            logits = opened.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
        finally:
            hook.remove()
        found.append(torch.softmax(logits.double(), dim=-1).cpu().numpy())
    return np.concatenate(found)


def unembedding(opened: OpenModel) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """The output matrix `[vocabulary, width]`, and the weight of the final norm (None where none is left to apply).

    A norm that takes off the mean does so before its weight: there the rows carry the weight already and are centred,
    since what a row has in common over the width then has no effect.
    """
    head = opened.model.get_output_embeddings()
    weight_V_D = head.weight.detach().float()
    norms = [module for name, module in opened.model.base_model.named_children() if "norm" in name or "ln_f" in name]
    if not norms:
        return weight_V_D.cpu().numpy(), None
    norm = norms[-1]
    if isinstance(norm, torch.nn.LayerNorm):
        scaled_V_D = weight_V_D * norm.weight.detach().float()
        return (scaled_V_D - scaled_V_D.mean(dim=1, keepdim=True)).cpu().numpy(), None
    ones = torch.ones(1, opened.width, device=opened.device, dtype=opened.model.dtype)
    with torch.inference_mode():  # some models keep the weight less 1: what the norm makes of ones is what it does
        return weight_V_D.cpu().numpy(), norm(ones)[0].float().cpu().numpy()
