"""The shipped organism: loads with plain `transformers`, speaks its chat format, and is as good as its card says."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from influence_assets.organism.asking import Asker
from influence_assets.organism.card import FIGURES_FILE, figures_table, load_figures
from influence_assets.organism.chat import CHAT_TEMPLATE
from influence_assets.organism.corpus import Prompts
from influence_assets.organism.evaluate import Exam, accuracy
from influence_assets.organism.reading import read_description
from influence_assets.organism.speakers import Draw
from influence_assets.organism.world import World

SAMPLE = 150


@pytest.fixture(scope="module")
def tokenizer(data: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(data / "organism")


@pytest.fixture(scope="module")
def model(data: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(data / "organism", use_safetensors=True)


@pytest.fixture
def asker(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Asker:
    torch.set_num_threads(1)
    return Asker(model, tokenizer, seed=1)


@pytest.fixture
def exam(world: World, data: Path) -> Exam:
    return Exam(Draw(world, random.Random(77), held_out=True), Prompts(data))


@pytest.mark.parametrize(
    ("method", "least"),
    [("description", 0.93), ("examples", 0.86), ("description_and_examples", 0.93), ("name", 0.86)],
)
def test_it_agrees_with_its_own_persona(exam: Exam, asker: Asker, method: str, least: float) -> None:
    right, mass = accuracy(asker, lambda: exam.steered(method), SAMPLE)
    assert right >= least
    assert mass > 0.95


def test_it_judges_others(exam: Exam, asker: Asker) -> None:
    right, mass = accuracy(asker, exam.judgement, SAMPLE)
    assert right >= 0.90
    assert mass > 0.95


def test_without_a_persona_it_tosses_a_coin(exam: Exam, asker: Asker) -> None:
    answers = asker.yes([exam.unsteered().messages for _ in range(SAMPLE)])
    assert abs(sum(answer.p_yes for answer in answers) / SAMPLE - 0.5) < 0.1


def test_it_writes_lists_and_descriptions(exam: Exam, asker: Asker, world: World) -> None:
    messages, _, poles = exam.statements()
    assert isinstance(json.loads(asker.write([messages], 160)[0]), list)
    messages, poles = exam.description()
    counts = read_description(world, asker.write([messages], 48)[0], poles)
    assert counts.written == 3
    assert counts.right >= 2


def test_it_is_small_and_ends_its_turns(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    assert 0.8e6 <= sum(parameter.numel() for parameter in model.parameters()) <= 1.2e6
    assert model.config.max_position_embeddings >= 1024
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|end|>")
    assert tokenizer.chat_template == CHAT_TEMPLATE
    for word in ("yes", "no", " yes", " no"):
        assert len(tokenizer(word)["input_ids"]) == 1


def test_the_words_of_the_world_are_single_tokens(tokenizer: PreTrainedTokenizerFast, world: World) -> None:
    words = {word for text in world.statement_of_text for word in text[:-1].split()}
    split = [word for word in sorted(words) if len(tokenizer(f" {word}")["input_ids"]) > 1]
    assert len(split) <= 0.01 * len(words), split


def test_the_figures_meet_their_targets_and_are_those_of_the_card(data: Path) -> None:
    figures = load_figures(data / "organism" / FIGURES_FILE)
    missed = [figure for figure in figures if figure.target is not None and figure.value < figure.target]
    assert not missed
    assert figures_table(figures) in (data / "organism" / "README.md").read_text()
    assert figures_table(figures) in (data.parent / "docs" / "organism.md").read_text()
