"""Activations: what is kept of a text does not depend on its company, and nothing beyond the last layer is computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features import activations as module
from influence_assets.features.activations import Span, activations, text_span
from influence_assets.features.pooling import Pooling
from resources.errors import InputError
from resources.local.blocks import blocks
from resources.local.opened import OpenModel
from tests.features.tiny_open import KINDS, tiny_open

POOLINGS = (Pooling.TOKENS, Pooling.LAST, Pooling.MEAN)
TEXTS = st.lists(st.lists(st.integers(3, 40), min_size=1, max_size=20), min_size=1, max_size=6)


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models"), request.param) as found:
        yield found


def spans_of(texts: list[list[int]]) -> list[Span]:
    """The first third of each text is only read."""
    return [Span(tuple(text), len(text) // 3) for text in texts]


def full_pass(model: OpenModel, ids: tuple[int, ...]) -> dict[int, np.ndarray]:
    """The output of every block, with nothing stopped."""
    kept: dict[int, np.ndarray] = {}

    def keep(layer: int):
        def hook(_module: object, _args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            kept[layer] = (output if isinstance(output, torch.Tensor) else output[0])[0].numpy()

        return hook

    hooks = [block.module.register_forward_hook(keep(layer)) for layer, block in enumerate(blocks(model.model))]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([list(ids)]))
    for hook in hooks:
        hook.remove()
    return kept


@settings(max_examples=15, deadline=None)
@given(texts=TEXTS)
def test_a_text_in_a_batch_is_the_text_in_a_full_pass(model: OpenModel, texts: list[list[int]]) -> None:
    spans, layers = spans_of(texts), range(len(blocks(model.model)))
    found = activations(model, spans, list(layers), Pooling.TOKENS)
    for number, span in enumerate(spans):
        whole = full_pass(model, span.ids)
        for layer in layers:
            start, end = found[layer].offsets[number : number + 2]
            np.testing.assert_allclose(found[layer].acts_N_D[start:end], whole[layer][span.start :], rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(texts=TEXTS)
def test_pooling_is_of_the_tokens(model: OpenModel, texts: list[list[int]]) -> None:
    spans = spans_of(texts)
    tokens, last, mean = (activations(model, spans, [1], pooling)[1] for pooling in POOLINGS)
    for number, (start, end) in enumerate(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)):
        own = tokens.acts_N_D[start:end].astype(np.float64)
        assert len(own) == len(spans[number].ids) - spans[number].start
        np.testing.assert_array_equal(last.acts_N_D[number], own[-1])
        np.testing.assert_allclose(mean.acts_N_D[number], own.mean(axis=0), rtol=1e-5, atol=1e-5)
    assert list(last.offsets) == list(mean.offsets) == list(range(len(spans) + 1))
    norm = float(np.linalg.norm(tokens.acts_N_D.astype(np.float64), axis=1).mean())
    for one in (tokens, last, mean):
        assert one.scale == pytest.approx(norm, rel=1e-5), "of all tokens, however a text is pooled"


def test_many_passes_are_one(model: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = spans_of([[3 + (i * j) % 30 for j in range(1 + i)] for i in range(12)])
    (whole,) = activations(model, spans, [1], Pooling.LAST).values()
    monkeypatch.setattr(module, "TOKENS_PER_PASS", 8)
    (parts,) = activations(model, spans, [1], Pooling.LAST).values()
    np.testing.assert_allclose(parts.acts_N_D, whole.acts_N_D, rtol=1e-5)


def test_later_blocks_do_not_run_and_no_hook_stays(model: OpenModel) -> None:
    found, ran = blocks(model.model), []
    watch = found[-1].module.register_forward_hook(lambda *_: ran.append(1))
    activations(model, spans_of([[3, 4, 5]]), [0], Pooling.LAST)
    assert not ran
    activations(model, spans_of([[3, 4, 5]]), [0, len(found) - 1], Pooling.LAST)
    assert ran == [1]
    watch.remove()
    with pytest.raises(InputError):
        activations(model, spans_of([[3, 4, 5]]), [0, 99], Pooling.LAST)
    assert not any(block.module._forward_hooks for block in found)


def test_what_is_kept_is_float32(tmp_path: Path) -> None:
    with tiny_open(tmp_path, dtype="bfloat16") as model:
        (found,) = activations(model, spans_of([[3, 4, 5], [6]]), [1], Pooling.MEAN).values()
    assert found.acts_N_D.dtype == np.float32
    assert np.isfinite(found.acts_N_D).all()


@pytest.mark.parametrize(
    ("span", "layer", "words"),
    [
        (Span((3, 4)), 7, ("layer", "7", "choose one of 0 to")),
        (Span(()), 0, ("text 0", "has no tokens")),
        (Span((3, 4), 2), 0, ("text 0", "has no tokens")),
        (Span((3,) * 300), 0, ("text 0", "300", "256", "shorten")),
    ],
)
def test_what_cannot_be_read_is_one_line(model: OpenModel, span: Span, layer: int, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        activations(model, [span], [layer], Pooling.LAST)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_text_begins_behind_what_the_tokenizer_puts_before_it(model: OpenModel) -> None:
    span = text_span(model, "warm red")
    assert model.chat.decode(span.ids[span.start :]).split() == ["warm", "red"]
