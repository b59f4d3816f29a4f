"""What amplifying a latent does to the next token, and what the output matrix reads of a direction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from influence_assets.features import amplified
from influence_assets.features.amplified import next_token, unembedding
from influence_assets.features.output_score import promoted_tokens
from resources.local.opened import OpenModel
from resources.local.steering import LoadedPush, steered
from tests.features.tiny_open import KINDS, tiny_open

PROMPT = [3, 4, 5, 6]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models"), request.param) as found:
        yield found


def after(model: OpenModel) -> np.ndarray:
    with torch.inference_mode():
        return torch.softmax(model.model(input_ids=torch.tensor([PROMPT])).logits[0, -1].double(), dim=-1).numpy()


def test_adding_is_steering_at_every_position(model: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplified, "ROWS", 2)
    additions_F_D = np.random.default_rng(0).standard_normal((5, model.width))
    additions_F_D[3] = 0.0
    found_F_V = next_token(model, PROMPT, 1, additions_F_D)
    np.testing.assert_allclose(found_F_V[3], after(model), rtol=1e-9)
    for addition_D, found_V in zip(additions_F_D, found_F_V, strict=True):
        with steered(model.model, [LoadedPush(1, torch.from_numpy(addition_D), 1.0)]):
            np.testing.assert_allclose(found_V, after(model), rtol=1e-8)
    np.testing.assert_allclose(found_F_V.sum(axis=1), 1.0)


def test_what_the_output_matrix_reads_of_a_direction_is_what_it_does_to_logits(model: OpenModel) -> None:
    """Very far along a direction the norm leaves nothing but it: logits there less logits at the other end."""
    last = int(model.model.config.num_hidden_layers) - 1
    direction_D = np.random.default_rng(1).standard_normal(model.width)
    ends_2_V = np.log(next_token(model, PROMPT, last, np.stack([1e9 * direction_D, -1e9 * direction_D])))
    weight_V_D, gain_D = unembedding(model)
    read_V = weight_V_D @ (direction_D if gain_D is None else direction_D * gain_D)
    assert np.corrcoef(read_V, ends_2_V[0] - ends_2_V[1])[0, 1] == pytest.approx(1.0, abs=1e-6)
    (promoted_K,) = promoted_tokens(direction_D[None], weight_V_D, gain_D, k=5)
    assert list(promoted_K) == list(np.argsort(ends_2_V[1] - ends_2_V[0])[:5])
