"""Shared scoring equals plain transformers, one sequence at a time, to 1e-5, in any order and with any limits."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.local.prefix import plan
from resources.registry import ModelEntry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from resources.local.engine import Engine

KINDS = ["llama", "gpt2", "gemma3", "mistral", "lfm2"]
relaxed = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
tokens = st.integers(3, 20)
prompts = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 14), st.lists(tokens, min_size=1, max_size=12)), min_size=1, max_size=14
)
STEMS = np.random.default_rng(5).integers(3, 20, (4, 14)).tolist()


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, models: Callable[[str], Path]) -> PreTrainedModel:
    from resources.local.loading import load

    directory = models(request.param)
    return load(directory, ModelEntry.model_validate({"name": "m", "provider": "local", "model": str(directory)})).model


def plain(model: PreTrainedModel, sequences: list[list[int]]) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.stack(
            [
                model(torch.tensor([s], device=model.device), use_cache=False).logits[0, -1].cpu().numpy()
                for s in sequences
            ]
        )


def scored(engine: Engine, sequences: list[list[int]], *, share: bool) -> np.ndarray:
    import torch

    rows: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        for wave in engine.run(plan(sequences, share=share and engine.shares)):
            rows.update(zip(wave.numbers, wave.logits_N_V.cpu().numpy().copy(), strict=True))
    return np.stack([rows[i] for i in range(len(sequences))])


def sequences_of(drawn: list[tuple[int, int, list[int]]]) -> list[list[int]]:
    return [STEMS[stem][:cut] + rest for stem, cut, rest in drawn]


@relaxed
@given(
    prompts,
    st.booleans(),
    st.sampled_from([8, 40, 1000]),
    st.sampled_from([1, 12, 30, 200]),
    st.randoms(use_true_random=False),
)
def test_logits_are_those_of_plain_transformers(
    model: PreTrainedModel,
    drawn: list[tuple[int, int, list[int]]],
    share: bool,
    limit: int,
    row: int,
    order: random.Random,
) -> None:
    from resources.local.engine import Engine
    from resources.local.passes import Limits

    engine = Engine(model, Limits(tokens=limit, row_tokens=row, kv_bytes=limit * 500))
    sequences = sequences_of(drawn)
    order.shuffle(sequences)
    expected = plain(model, sequences)
    for _ in range(2):  # the second time on stored prefixes
        np.testing.assert_allclose(scored(engine, sequences, share=share), expected, atol=1e-5, rtol=1e-5)


def test_attention_models_share_and_others_do_not(model: PreTrainedModel) -> None:
    from resources.local.engine import Engine

    engine = Engine(model)
    assert engine.shares is (model.config.model_type != "lfm2")


def test_left_padding_gives_the_same_numbers(model: PreTrainedModel) -> None:
    """The comparison that most code makes: a left-padded batch under a two-dimensional mask."""
    import torch

    from resources.local.engine import Engine

    if model.config.model_type == "lfm2":
        pytest.skip("its convolutions see left pads")
    sequences = [STEMS[0][:n] for n in (3, 9, 14)]
    ids = torch.tensor([[0] * (14 - len(s)) + s for s in sequences], device=model.device)
    mask = torch.tensor([[0] * (14 - len(s)) + [1] * len(s) for s in sequences], device=model.device)
    with torch.inference_mode():
        padded = model(ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0)).logits[:, -1]
    np.testing.assert_allclose(scored(Engine(model), sequences, share=True), padded.cpu().numpy(), atol=1e-5, rtol=1e-5)


def test_a_failing_forward_pass_leaves_the_head_as_it_was(model: PreTrainedModel) -> None:
    import torch

    from resources.local.engine import Engine

    if model.device.type == "cuda":
        pytest.skip("a token out of range ends the process there")
    engine = Engine(model)
    before = plain(model, [[4, 5, 6]])
    with pytest.raises((IndexError, RuntimeError)), torch.inference_mode():
        engine.forward([[10_000_000]], [(0, 0)])
    np.testing.assert_array_equal(plain(model, [[4, 5, 6]]), before)


def test_the_prefix_store_keeps_to_its_bytes_and_finds_the_longest() -> None:
    import torch

    from resources.local.prefix_store import PrefixStore
    from resources.local.slots import Stem, StoredRow

    def path(n: int) -> Stem:
        return Stem(StoredRow([(torch.zeros(1, n, 1), torch.zeros(1, n, 1))], n), 0, ((0, n),))

    store = PrefixStore(limit_bytes=8 * 100)
    base = list(range(60))
    store.put(base[:20], path(20))
    store.put(base[:40], path(40))
    assert store.longest([*base[:30], 99, 98], 31) is not None
    found = store.longest([*base[:30], 99, 98], 31)
    assert found is not None
    assert (found[0].length, found[1]) == (40, 30)
    assert store.longest([99, *base], 50) is None
    store.put([7] * 60, path(60))  # 120 tokens would be too many: the least recently used goes
    assert store.longest(base, 20) is not None
    assert store.longest([7] * 70, 65) is not None
    store.put([8] * 1000, path(1000))
    assert store.longest([8] * 100, 90) is None


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def test_runs_under_way_side_by_side_do_not_disturb_each_other(model: PreTrainedModel) -> None:
    """One run pauses after every pass (scoring), another runs in between (prompts of replies)."""
    import torch

    from resources.local.engine import Engine

    engine = Engine(model)
    if not engine.shares:
        pytest.skip("no shared prefixes, nothing kept between passes")
    stems = [[*STEMS[stem], *range(3, 3 + cut)] for stem in range(2) for cut in (2, 6)]
    sequences = [[*stem, *tail] for stem in stems for tail in ([], [7, 8, 9, 10, 11], [7, 8, 9, 12], [13, 14, 15, 16])]
    rows: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        for wave in engine.run(plan(sequences)):
            rows.update(zip(wave.numbers, wave.logits_N_V.cpu().numpy().copy(), strict=True))
            for seed in range(2):  # the second time on stored prefixes
                others = [[*STEMS[2], *STEMS[3], 5 + seed, 6, 7 + n] for n in range(3)]
                np.testing.assert_allclose(
                    scored(engine, others, share=True), plain(model, others), atol=1e-5, rtol=1e-5
                )
    got = np.stack([rows[i] for i in range(len(sequences))])
    np.testing.assert_allclose(got, plain(model, sequences), atol=1e-5, rtol=1e-5)
