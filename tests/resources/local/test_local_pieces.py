"""Piecewise tokenisation gives the tokens of the whole text, or is not used."""

from __future__ import annotations

import json
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.local.pieces import Pieces

texts = st.lists(
    st.sampled_from(["<|s|>", "<|e|>", " ", "\n", "a", "lower", " word", "é", "\u2028", "10"]), max_size=25
)


def tokenizer(change: str | None = None) -> object:
    """A byte-level BPE, as it ships with most chat models; `change` is what makes pieces differ from the whole."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if change == "first":
        raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator(["lower word lower word \n\n a a"] * 9, trainer)
    raw.add_special_tokens([AddedToken(name, rstrip=change == "rstrip") for name in ("<|s|>", "<|e|>")])
    if change == "nested":
        raw.add_tokens([AddedToken("lower<|e|>")])
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|s|>", eos_token="<|e|>")
    assert json.loads(fast.backend_tokenizer.to_str())["added_tokens"]
    return fast


@lru_cache
def plain() -> object:
    return tokenizer()


@settings(deadline=None, max_examples=150)
@given(texts)
def test_pieces_are_the_whole(parts: list[str]) -> None:
    pieces = Pieces(plain())  # type: ignore[arg-type]
    assert pieces._cut is not None
    pieces._to_try = 0
    text = "".join(parts)
    expected = plain().backend_tokenizer.encode(text, add_special_tokens=False).ids  # type: ignore[attr-defined]
    assert pieces.encode(text) == expected
    assert pieces.encode(text) == expected, "remembered"


@pytest.mark.parametrize("change", ["first", "rstrip", "nested"])
def test_tokenizers_that_look_across_special_tokens_get_whole_texts(change: str) -> None:
    assert Pieces(tokenizer(change))._cut is None  # type: ignore[arg-type]


def test_a_difference_in_the_first_prompts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.local import pieces as module

    monkeypatch.setattr(module, "_cuts_cleanly", lambda *_: True)
    pieces = Pieces(tokenizer("first"))  # type: ignore[arg-type]
    text = "a<|e|>a"
    whole = pieces._backend.encode(text, add_special_tokens=False).ids
    assert [pieces.encode(text), pieces.encode(text)] == [whole, whole]
    assert pieces._cut is None
