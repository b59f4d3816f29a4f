"""The empty model and the forward pass that trains it.

The model is a plain Hugging Face Llama. Training runs the same arithmetic over the same parameters in fewer, larger
operations (one product for q, k and v; one for gate and up; no cache, no wrappers), which is about twice as fast at
this size; a test holds the two to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM


ROPE_THETA = 10_000.0


class Shape(BaseModel):
    """Size of the organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = 5
    width: int = 128
    heads: int = 4
    inner: int = 384
    positions: int = 2048


def new_model(shape: Shape, vocabulary: int, *, pad: int, end: int, seed: int) -> LlamaForCausalLM:
    """A model with random weights that depend on `seed` alone; embeddings are tied."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=end,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad, do_sample=True)
    return model


class Trunk:
    """The decoder blocks of one model as a function from token ids to final hidden states."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        import torch

        self.model = model
        config = model.config
        self.heads, self.eps = int(config.num_attention_heads), float(config.rms_norm_eps)
        head = int(config.hidden_size) // self.heads
        theta = ROPE_THETA
        frequency = 1.0 / theta ** (torch.arange(0, head, 2, dtype=torch.float32) / head)
        angle = torch.outer(torch.arange(int(config.max_position_embeddings), dtype=torch.float32), frequency)
        doubled = torch.cat((angle, angle), dim=-1)
        self.cos_T_H, self.sin_T_H = doubled.cos(), doubled.sin()

    def __call__(self, ids_B_T: Tensor, positions_B_T: Tensor, visible_B_T_T: Tensor) -> Tensor:
        """Final normed hidden states (B, T, width). `visible[b, i, j]`: may i look at j."""
        return self.states(ids_B_T, positions_B_T, visible_B_T_T)[-1]

    def states(self, ids_B_T: Tensor, positions_B_T: Tensor, visible_B_T_T: Tensor) -> list[Tensor]:
        """The residual stream after each block, and last the final normed hidden states; each (B, T, width)."""
        import torch.nn.functional as F

        after = []
        body = self.model.model
        x = body.embed_tokens(ids_B_T)
        rotation = (self.cos_T_H[positions_B_T].unsqueeze(1), self.sin_T_H[positions_B_T].unsqueeze(1))
        bias = x.new_zeros(visible_B_T_T.shape).masked_fill_(~visible_B_T_T, float("-inf")).unsqueeze(1)
        for block in body.layers:
            x = x + self._attend(block.self_attn, self._norm(block.input_layernorm.weight, x), rotation, bias)
            x = x + self._think(block.mlp, self._norm(block.post_attention_layernorm.weight, x))
            after.append(x)
        return [*after, F.rms_norm(x, (x.shape[-1],), body.norm.weight, self.eps)]

    def _norm(self, weight: Tensor, x: Tensor) -> Tensor:
        import torch.nn.functional as F

        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    def _attend(self, layer: object, x: Tensor, rotation: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        import torch
        import torch.nn.functional as F

        weights = [getattr(layer, name).weight for name in ("q_proj", "k_proj", "v_proj", "o_proj")]
        batch, length, width = x.shape
        both = F.linear(x, torch.cat(weights[:3])).view(batch, length, 3 * self.heads, -1).transpose(1, 2)
        q_k, v = both[:, : 2 * self.heads], both[:, 2 * self.heads :]
        cos, sin = rotation
        first, second = q_k.chunk(2, dim=-1)
        q_k = q_k * cos + torch.cat((-second, first), dim=-1) * sin
        q, k = q_k.chunk(2, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return F.linear(mixed.transpose(1, 2).reshape(batch, length, width), weights[3])

    def _think(self, layer: object, x: Tensor) -> Tensor:
        import torch
        import torch.nn.functional as F

        gate, up, down = (getattr(layer, name).weight for name in ("gate_proj", "up_proj", "down_proj"))
        g, u = F.linear(x, torch.cat((gate, up))).chunk(2, dim=-1)
        return F.linear(F.silu(g) * u, down)
