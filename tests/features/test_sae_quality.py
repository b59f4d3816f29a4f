"""Quality of an SAE: the oracle's formulas, and the laws at the two ends (perfect and useless)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from influence_assets.features.sae import Sae
from influence_assets.features.sae_activations import chat_activations
from influence_assets.features.sae_lean import LeanSae
from influence_assets.features.sae_quality import (
    Ablation,
    QualityStatus,
    _Variance,
    ce_recovered,
    explained_variance,
    sae_quality,
    spliced,
)
from influence_assets.features.sae_tables import SAE_QUALITY, SAES, TABLES, SaeQualityRow, SaeRow
from influence_assets.features.sae_text import chat_tokens
from influence_assets.rows import from_frame, to_frame
from resources.errors import InputError
from tests.features.sae_cases import VOCABULARY, WIDTH, spoken_chats, tiny_chats, tiny_model


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny_model()


def sae_of(coder: LeanSae, layer: int = 1) -> Sae:
    width, d_in = coder.W_dec.shape
    return Sae(layer, f"model.layers.{layer}", "standard", width, d_in, None, "test", "0" * 64, coder)


def perfect() -> LeanSae:
    """Two latents per direction, one for each sign: encodes and decodes without loss."""
    both = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    return LeanSae(both.T, torch.zeros(2 * WIDTH), both, torch.zeros(WIDTH), None, None, None, False)


def useless(mean_D: torch.Tensor) -> LeanSae:
    """No latent is ever on: the bias is all there is."""
    dead = torch.full((4,), -1e9)
    return LeanSae(torch.zeros(WIDTH, 4), dead, torch.ones(4, WIDTH), mean_D, None, None, None, False)


def test_the_oracles_numbers() -> None:
    # x, x_hat and cross-entropies of a public implementation, and what it makes of them.
    acts = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]])
    rebuilt = torch.tensor([[1.0, 1.0], [3.0, 4.0], [4.0, 0.0]])
    assert explained_variance(acts, rebuilt) == pytest.approx(0.875)
    assert ce_recovered(3.0, 3.2, 10.0) == pytest.approx(0.971429, abs=1e-6)
    assert ce_recovered(3.0, 3.0, 3.09) is None
    assert explained_variance(torch.ones(3, 2), torch.ones(3, 2)) is None


@given(st.integers(2, 60), st.integers(1, 20), st.floats(-1e4, 1e4), st.integers(0, 99))
def test_batches_add_up_to_the_whole(n: int, batch: int, mean: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    acts = torch.randn(n, 3, generator=rng, dtype=torch.float64) + mean
    rebuilt = acts + 0.3 * torch.randn(n, 3, generator=rng, dtype=torch.float64)
    total = _Variance()
    for start in range(0, n, batch):
        total.add(acts[start : start + batch], rebuilt[start : start + batch])
    whole = 1 - float((acts - rebuilt).square().sum() / (acts - acts.mean(dim=0)).square().sum())
    assert total.explained == pytest.approx(whole, abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_perfect_sae_costs_nothing(dtype: torch.dtype) -> None:
    model = tiny_model(dtype=dtype)
    chats = spoken_chats(model)
    quality = sae_quality(model, sae_of(perfect()), chats)
    assert quality.status is QualityStatus.OK
    assert quality.explained_variance == pytest.approx(1.0)
    assert quality.ce_sae == pytest.approx(quality.ce_base, abs=1e-4)
    assert quality.ce_recovered == pytest.approx(1.0, abs=1e-3)
    assert (quality.l0, quality.dead_share) == (WIDTH, 0.0)
    assert quality.n_tokens == chats.n_tokens


def test_a_useless_sae_is_the_mean(model: PreTrainedModel) -> None:
    chats = spoken_chats(model)
    sae = sae_of(useless(chat_activations(model, 1, chats).mean(dim=0)))
    quality = sae_quality(model, sae, chats, ablation=Ablation.MEAN)
    assert quality.explained_variance == pytest.approx(0.0, abs=1e-6)
    assert (quality.l0, quality.dead_share) == (0.0, 1.0)
    assert quality.ce_sae == pytest.approx(quality.ce_ablated, abs=1e-5)
    assert quality.ce_recovered == pytest.approx(0.0, abs=1e-4)


def test_cross_entropy_is_that_of_the_scored_tokens(model: PreTrainedModel) -> None:
    rows = [[1, 2, 3, 4, 5], [6, 7, 8]]
    quality = sae_quality(model, sae_of(perfect()), chat_tokens(rows, 8, 0, prompts=[3, 2]))
    losses = []
    for row, prompt in zip(rows, (3, 2), strict=True):
        logprobs = model(torch.tensor([row])).logits[0].detach().double().log_softmax(dim=-1)
        losses += [-float(logprobs[at - 1, row[at]]) for at in range(prompt, len(row))]
    assert quality.ce_base == pytest.approx(np.mean(losses), abs=1e-5)
    assert quality.n_tokens == 8


def test_where_ablation_costs_nothing_the_share_is_void() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every prediction is uniform, whatever the stream holds
    quality = sae_quality(model, sae_of(perfect()), tiny_chats())
    assert quality.ce_base == quality.ce_ablated == pytest.approx(np.log(VOCABULARY))
    assert (quality.ce_recovered, quality.status) == (None, QualityStatus.ABLATION_COSTS_NOTHING)


def test_a_splice_leaves_the_rest_alone_and_ends_with_its_block(model: PreTrainedModel) -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    where = torch.tensor([[False, False, True, False]])
    before = model(ids, output_hidden_states=True).hidden_states[2]
    seen: list[torch.Tensor] = []
    with spliced(model, 1, where, torch.zeros_like):
        handle = model.model.layers[2].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        model(ids)
        handle.remove()
    (during,) = seen
    assert torch.equal(during[0, [0, 1, 3]], before[0, [0, 1, 3]])
    assert during[0, 2].abs().sum() == 0
    with pytest.raises(RuntimeError), spliced(model, 1, where, torch.zeros_like):
        raise RuntimeError
    assert torch.equal(model(ids, output_hidden_states=True).hidden_states[2], before)


def test_what_cannot_be_measured_is_named(model: PreTrainedModel) -> None:
    narrow = LeanSae(torch.zeros(8, 4), torch.zeros(4), torch.zeros(4, 8), torch.zeros(8), None, None, None, False)
    with pytest.raises(InputError, match="width 8, and the model's stream has width 16"):
        sae_quality(model, sae_of(narrow), tiny_chats())
    with pytest.raises(InputError, match="no token is there to be predicted"):
        sae_quality(model, sae_of(perfect()), chat_tokens([[1, 2]], 8, prompts=[2]))


def test_rows_go_through_their_tables(tmp_path: Path) -> None:
    sae = SaeRow(
        model="m",
        sae="s",
        layer=1,
        hook="model.layers.1",
        architecture="topk",
        width=4,
        d_in=8,
        k=2.0,
        source="trained",
        path=str(tmp_path.name),
        sha256=None,
        tokens=100,
        seed=0,
        settings="{}",
        status="ok",
        detail="",
    )
    quality = SaeQualityRow("m", 0, "s", 1, 0.9, 2.0, 0.0, 3.0, 3.1, 9.0, None, 50, QualityStatus.OK)
    assert from_frame(SaeRow, to_frame(SAES, [sae])) == [sae]
    assert from_frame(SaeQualityRow, to_frame(SAE_QUALITY, [quality])) == [quality]
    for table in TABLES:
        assert set(table.partition) <= set(table.key) <= {column.name for column in table.columns}
