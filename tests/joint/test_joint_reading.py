"""Projections of the embedded organism against hidden states that transformers itself hands out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.pooling import Pooling
from influence_assets.influence.loading import filled, load_families
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import Turn
from influence_assets.joint.reading import Axis, Reading, neutral_readings, project, reply_readings
from influence_assets.joint.records import ReadText
from resources.local.opened import OpenModel, opened
from resources.registry import load_registry
from tests.influence.test_metrics import conversation

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
SCALE = 3.0


@pytest.fixture(scope="module")
def model() -> Iterator[OpenModel]:
    with opened(load_registry(DATA / "models.yaml")["organism"], ROOT) as found:
        yield found


POOLINGS = pytest.mark.parametrize("pooling", [Pooling.LAST, Pooling.MEAN])


def axis(model: OpenModel, layer: int, seed: int = 0) -> Axis:
    vector = np.random.default_rng(seed).normal(size=model.width)
    row = DirectionRow(
        f"d{layer}{seed}", "organism", 0, layer, "", "warmth", "high", "difference_in_means", seed, "", "", 1.0, SCALE,
        "", None, None, None, None, None, 0,
    )  # fmt: skip
    return Axis(row, vector / np.linalg.norm(vector))


def by_hand(model: OpenModel, reading: Reading, one: Axis) -> np.ndarray:
    """Of every token of the text; hidden state k + 1 is what block k puts out."""
    import torch

    ids = torch.tensor([reading.span.ids])
    with torch.inference_mode():
        states = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    acts = states[one.row.layer + 1][0, reading.span.start :].double().numpy()
    return acts @ one.vector_D / SCALE


def read_at(tokens: np.ndarray, pooling: Pooling) -> np.ndarray:
    """The tokens of one text that are read."""
    return tokens[-1:] if pooling is Pooling.LAST else tokens


@POOLINGS
def test_a_projection_is_read_where_pooling_says_in_scales(model: OpenModel, pooling: Pooling) -> None:
    readings = neutral_readings(model, ["things are fine here.", "i want to sleep more. what do you think?"])
    axes = [axis(model, 0), axis(model, 1), axis(model, 1, seed=5)]
    rows = project(model, readings, axes, pooling=pooling, text_set=ReadText.NEUTRAL, model="organism", iteration=0)
    assert len(rows) == 6
    for row in rows:
        one = next(one for one in axes if one.row.direction_id == row.direction_id)
        tokens = read_at(by_hand(model, readings[int(row.text_id)], one), pooling)
        assert row.projection == pytest.approx(float(tokens.mean()), abs=1e-6)
        assert row.n_tokens == len(tokens)


def turn(position: int, role: str, content: str, number: int, request: str | None = "r") -> Turn:
    return Turn("0-e-0-agent", "m", 0, number, position, role, content, "s", request, "ok")


@POOLINGS
def test_replies_are_read_behind_their_prompts_and_history_is_not(model: OpenModel, pooling: Pooling) -> None:
    family = load_families(DATA, ["organism"])["organism"]
    name = next(iter(family.environments))
    environment = filled(family.environments[name], family.states[name][0])
    prompting = Prompting(DATA / "prompts" / "influence")
    turns = [
        turn(0, "character", "i feel low.", 0, None),
        turn(1, "agent", "that is sad to hear.", 0, None),
        turn(2, "character", "what should i do?", 0, None),
        turn(3, "agent", "take a long walk.", 1),
        turn(4, "character", "i will.", 1),
        turn(5, "agent", "good, and see a doctor when you can.", 2),
        turn(6, "agent", " ", 2),  # blank: nobody heard it
    ]
    talk = conversation(0, "e", "ordinary", 0)
    readings = reply_readings(model, [talk], turns, lambda _: environment, prompting)
    assert [reading.text_id for reading in readings] == [talk.conversation_id] * 2
    said = [model.chat.decode(reading.span.ids[reading.span.start :]) for reading in readings]
    assert said == [turns[3].content, turns[5].content]
    before = model.chat.decode(readings[1].span.ids[: readings[1].span.start])
    assert turns[3].content in before

    one = axis(model, 1)
    (row,) = project(model, readings, [one], pooling=pooling, text_set=ReadText.REPLIES, model="organism", iteration=0)
    tokens = np.concatenate([read_at(by_hand(model, reading, one), pooling) for reading in readings])
    assert row.projection == pytest.approx(float(tokens.mean()), abs=1e-6)
    assert row.n_tokens == len(tokens)


def test_nothing_to_read_or_to_read_along_is_no_row(model: OpenModel) -> None:
    readings = neutral_readings(model, ["things are fine."])
    for texts, axes in (([], [axis(model, 1)]), (readings, [])):
        found = project(model, texts, axes, pooling=Pooling.LAST, text_set=ReadText.NEUTRAL, model="m", iteration=0)
        assert found == []
