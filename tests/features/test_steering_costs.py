"""What a push costs: nothing without one, and otherwise what the definitions say."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features import steering_costs
from influence_assets.features.steering_costs import NeutralText, repetition, surprise
from resources.local.opened import OpenModel
from resources.local.steering import LoadedPush, steered
from tests.features.tiny_open import KINDS, tiny_open

ROWS = [[3, 4, 5, 6], [7, 8], [9, 10, 11, 12, 13]]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models"), request.param) as found:
        yield found


@pytest.fixture(scope="module")
def neutral(model: OpenModel) -> NeutralText:
    return NeutralText(model, ROWS)


def push(model: OpenModel, strength: float, seed: int = 0) -> LoadedPush:
    vector_D = np.random.default_rng(seed).standard_normal(model.width)
    return LoadedPush(0, torch.from_numpy(vector_D / np.linalg.norm(vector_D)), strength)


def logp(model: OpenModel, row: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.log_softmax(model.model(input_ids=torch.tensor([row])).logits[0], dim=-1)


def test_without_a_push_nothing_is_lost(model: OpenModel, neutral: NeutralText) -> None:
    assert neutral.kl([]) == 0.0
    assert neutral.kl([push(model, 0.0)]) == 0.0


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), strength=st.floats(0.5, 3))
def test_a_push_costs_and_the_cost_is_kullbacks_and_leiblers(
    model: OpenModel, neutral: NeutralText, seed: int, strength: float
) -> None:
    change = push(model, strength, seed)
    found = []
    for row in ROWS:
        q = logp(model, row)
        with steered(model.model, [change]):
            p = logp(model, row)
        found += (p.exp() * (p - q)).sum(dim=-1).tolist()
    assert neutral.kl([change]) == pytest.approx(float(np.mean(found)), rel=1e-6)
    assert neutral.kl([change]) > 0
    assert neutral.kl([]) == 0.0, "and the push is gone"


def test_reading_the_same_before_costs_nothing(neutral: NeutralText) -> None:
    assert neutral.kl_of_prefix(ROWS) == pytest.approx(0.0, abs=1e-12)


def test_a_prefix_costs_at_the_neutral_tokens_alone(model: OpenModel, neutral: NeutralText) -> None:
    prefix = [20, 21, 22]
    found = []
    for row in ROWS:
        p, q = logp(model, prefix + row)[len(prefix) :], logp(model, row)
        found += (p.exp() * (p - q)).sum(dim=-1).tolist()
    assert neutral.kl_of_prefix([prefix + row for row in ROWS]) == pytest.approx(float(np.mean(found)), rel=1e-6)


def test_where_only_the_ends_agree_only_they_are_compared(model: OpenModel, neutral: NeutralText) -> None:
    """A template may open a text differently behind a system message."""
    changed = [[30, *row[1:]] for row in ROWS]
    found = []
    for long, row in zip(changed, ROWS, strict=True):
        p, q = logp(model, long)[1:], logp(model, row)[1:]
        found += (p.exp() * (p - q)).sum(dim=-1).tolist()
    assert neutral.kl_of_prefix(changed) == pytest.approx(float(np.mean(found)), rel=1e-6)
    assert math.isnan(neutral.kl_of_prefix([[30] for _ in ROWS]))


def test_text_is_cut_to_whole_rows(model: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering_costs, "POSITIONS", 7)
    change = push(model, 2.0)
    assert NeutralText(model, ROWS).kl([change]) == pytest.approx(NeutralText(model, ROWS[:2]).kl([change]))


def test_surprise_is_nats_per_token_behind_the_prompt(model: OpenModel) -> None:
    prompts, replies = [[3, 4, 5], [6]], ["warm red", "kind"]
    nats, tokens = 0.0, 0
    for prompt, reply in zip(prompts, replies, strict=True):
        own = model.chat.encode(reply)
        after = logp(model, prompt + own)
        nats -= sum(float(after[len(prompt) - 1 + place, token]) for place, token in enumerate(own))
        tokens += len(own)
    assert tokens == 3
    assert surprise(model, prompts, replies) == pytest.approx(nats / tokens, rel=1e-6)
    assert surprise(model, [*prompts, [3]], [*replies, ""]) == surprise(model, prompts, replies)
    assert math.isnan(surprise(model, [[3]], [""]))


@pytest.mark.parametrize(
    ("replies", "share"),
    [
        (["a b c d e"], 0.0),
        (["a b c a b c"], 1 / 4),
        (["a a a a a"], 2 / 3),
        (["a b c", "a b c"], 0.0),
        (["a a a a a", "a b"], 2 / 3),
        (["a b", ""], math.nan),
        ([], math.nan),
    ],
)
def test_repetition_is_within_a_reply(replies: list[str], share: float) -> None:
    assert repetition(replies) == pytest.approx(share, nan_ok=True)
