"""Tiny random models in directories, made once a session; nothing here is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.registry import ModelEntry, ProviderName

WORDS = """
system user assistant you are this persona yes no Yes maybe answer or say would . , ? : A B C D a the of
kind cold warm tall red blue green one two three model reply row
"""
TEMPLATE = (
    "{% for m in messages %}<|s|> {{ m['role'] }} : {{ m['content'] | trim }} <|e|> {% endfor %}"
    "{% if add_generation_prompt %}<|s|> assistant : {% endif %}"
)

Make = Callable[..., Path]


def tokenizer_files(directory: Path, *, template: str | None = TEMPLATE) -> int:
    """A word-level tokenizer that splits digits ("10" is two tokens); returns the size of its vocabulary."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<|s|>", "<|e|>", *WORDS.split(), *"0123456789"]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"\d|[.,?:]"), "isolated")]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|e|>", bos_token="<|s|>")
    fast.chat_template = template
    fast.save_pretrained(directory)
    return len(names)


def _config(kind: str, vocabulary: int) -> object:
    import transformers as t

    small = {"vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    if kind == "gpt2":
        return t.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256, **small)
    blocks = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    limit = {"max_position_embeddings": 256}
    if kind == "llama":
        return t.LlamaConfig(num_hidden_layers=2, **blocks, **limit, **small)
    if kind == "gemma3":
        sliding = ["sliding_attention", "full_attention", "sliding_attention"]
        return t.Gemma3TextConfig(
            num_hidden_layers=3, layer_types=sliding, sliding_window=8, head_dim=8, **blocks, **limit, **small
        )
    if kind == "mistral":
        return t.MistralConfig(num_hidden_layers=2, sliding_window=8, **blocks, **limit, **small)
    if kind == "lfm2":  # convolutions keep a state that no key-value row can hold
        return t.Lfm2Config(num_hidden_layers=2, layer_types=["conv", "full_attention"], **blocks, **limit, **small)
    raise ValueError(kind)


def write_model(directory: Path, kind: str = "llama", *, seed: int = 0, template: str | None = TEMPLATE) -> Path:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_config(kind, tokenizer_files(directory, template=template)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.25)  # sharp enough that answers differ
    model.save_pretrained(directory)
    # A generation config that would bend the distribution if anything read it.
    bent = {"do_sample": True, "temperature": 0.2, "top_k": 1, "repetition_penalty": 5.0, "eos_token_id": [2, 1]}
    (directory / "generation_config.json").write_text(json.dumps(bent))
    return directory


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A directory with a tiny random model of a kind: llama, gpt2, gemma3, mistral, lfm2."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = write_model(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return of


@pytest.fixture
def make_model() -> Make:
    return write_model


def entry_of(directory: Path | str, **fields: object) -> ModelEntry:
    return ModelEntry.model_validate({"name": "m", "provider": ProviderName.LOCAL, "model": str(directory), **fields})


@pytest.fixture
def entry() -> Callable[..., ModelEntry]:
    return entry_of
