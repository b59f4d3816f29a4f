"""Laws of deep supervision: a mark stands at the last token of what it marks, and denial turns it round."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from influence_assets.organism.batches import Encoder
from influence_assets.organism.chat import Piece
from influence_assets.organism.corpus import Corpus, Document, Prompts
from influence_assets.organism.muon import Muon, orthogonal
from influence_assets.organism.speakers import Draw
from influence_assets.organism.supervision import NOT_SAID, NOTHING, Heads, Marker
from influence_assets.organism.tokenizer import train_tokenizer
from influence_assets.organism.world import Pole, Side, World

MakeCorpus = Callable[[int], Corpus]


@pytest.fixture(scope="module")
def encoder(world: World, data: Path) -> Encoder:
    source = Corpus(Draw(world, random.Random(0)), Prompts(data))
    return Encoder(train_tokenizer(source, documents=300), Marker(world))


# Its "quiet" is also an adjective of low extraversion, so this context adds a mark of its own (1 context of 48).
AMBIGUOUS = "on a quiet night in"


def marked(world: World, marks: list[int]) -> list[Pole]:
    return [world.poles[mark] for mark in marks if mark != NOTHING]


def test_a_description_implies_what_it_says(encoder: Encoder, world: World) -> None:
    encoded = encoder.document(Document((Piece("You are outgoing and messy.", 0.0),), ()))
    poles = [Pole("extraversion", Side.HIGH), Pole("conscientiousness", Side.LOW)]
    assert marked(world, encoded.said) == marked(world, encoded.implied) == poles


def test_what_a_persona_would_not_say_implies_the_opposite(corpus: MakeCorpus, encoder: Encoder, world: World) -> None:
    source = corpus(1)
    for _ in range(50):
        document = source.steered("examples", 6)
        stem = "".join(piece.text for piece in document.stem)
        if AMBIGUOUS in stem:
            continue
        agree, disagree = stem.split(NOT_SAID)
        said = marked(world, encoder.document(Document((Piece(stem, 0.0),), ())).said)
        implied = marked(world, encoder.document(Document((Piece(stem, 0.0),), ())).implied)
        assert len(said) == len(implied) == 6
        assert said[:3] == implied[:3]
        assert [pole.opposite for pole in said[3:]] == implied[3:]
        assert agree.count("\n- ") == disagree.count("\n- ") == 3


def test_questions_imply_nothing_of_the_persona(corpus: MakeCorpus, encoder: Encoder) -> None:
    for document in islice(corpus(2).documents(), 100):
        encoded = encoder.document(document)
        in_branches = [mark for mark, branch in zip(encoded.implied, encoded.branches, strict=True) if branch]
        assert set(in_branches) <= {NOTHING}


def test_every_statement_is_marked_with_its_pole(encoder: Encoder, world: World) -> None:
    for pole in world.poles:
        for statement in [s for aspect in world.aspects for s in world.held_out[pole, aspect][:3]]:
            encoded = encoder.document(Document((), ((Piece(f'Would you say this? "{statement.text}"', 0.0),),)))
            expected = [pole, Pole("extraversion", Side.LOW)] if AMBIGUOUS in statement.text else [pole]
            assert marked(world, encoded.said) == expected


def test_heads_have_no_say_where_nothing_is_marked() -> None:
    heads = Heads(8, 16)
    states = [torch.randn(2, 5, 8) for _ in range(3)]
    nothing = torch.full((2, 5), NOTHING)
    assert heads.loss(states, nothing, nothing).item() == 0.0
    one = nothing.clone()
    one[0, 3] = 7
    assert heads.loss(states, one, nothing).item() > 0.0


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 48, 16), (2, 16, 48)])
def test_muons_update_is_nearly_orthogonal(shape: tuple[int, int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_descends_and_forgets_gradients() -> None:
    weight = torch.nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)))
    muon = Muon([weight], weight_decay=0.0)
    start = float(weight.detach().square().sum())
    for _ in range(20):
        torch.autograd.backward(weight.square().sum())
        muon.step(0.02)
        assert weight.grad is None
    assert float(weight.detach().square().sum()) < start
