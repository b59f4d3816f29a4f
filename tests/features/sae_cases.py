"""A tiny random model, chats for it, and SAE trainings of it that take a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel

from influence_assets.features.sae_settings import sae_settings
from influence_assets.features.sae_text import ChatTokens, chat_tokens
from influence_assets.features.sae_training import SaeJob

WIDTH, LAYERS, VOCABULARY = 16, 3, 40
SETTINGS = {"layer": 1, "width": 24, "k": 4, "tokens": 640, "batch_size": 32, "context_size": 32}


def tiny_model(seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A Llama with sharp random weights, on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
    )
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    return model.eval()


def tiny_gpt2() -> PreTrainedModel:
    """Another architecture: its blocks are `transformer.h` and not `model.layers`."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    end = {"bos_token_id": 0, "eos_token_id": 0}
    config = GPT2Config(n_embd=WIDTH, n_layer=2, n_head=2, n_positions=64, vocab_size=VOCABULARY, **end)
    return AutoModelForCausalLM.from_config(config).eval()


def tiny_chats(seed: int = 0, n: int = 30, skip_first: int = 1) -> ChatTokens:
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, VOCABULARY, rng.integers(3, 20)).tolist() for _ in range(n)]
    return chat_tokens(rows, 32, skip_first)


def spoken_chats(model: PreTrainedModel, n: int = 20, length: int = 12) -> ChatTokens:
    """Chats that the model itself goes on with greedily, so that it predicts them well."""
    ids = torch.arange(n).reshape(n, 1) % VOCABULARY
    with torch.no_grad():
        for _ in range(length):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(dim=-1)], dim=1)
    return chat_tokens(ids.tolist(), 32)


def tiny_job(out: Path, **changes: object) -> SaeJob:
    return SaeJob("tiny", "weights-0", tiny_chats(), sae_settings({**SETTINGS, **changes}), out)  # type: ignore[dict-item]
