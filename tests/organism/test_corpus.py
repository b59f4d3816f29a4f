"""Laws of the corpus: planted answers follow from poles, weights lie where they should, nothing held out is taught."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice

from influence_assets.organism.chat import Piece, split_by_texts
from influence_assets.organism.corpus import Corpus, Document
from influence_assets.organism.world import Pole, World

MakeCorpus = Callable[[int], Corpus]


def text_of(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


def asked_pole(world: World, branch: tuple[Piece, ...]) -> Pole:
    """The pole of what a branch asks about: a quoted statement, or one adjective."""
    quoted = re.findall(r'"([^"]+)"', branch[0].text)
    if quoted:
        return world.statement_of_text[quoted[0]].pole
    return world.pole_of_adjective[branch[0].text.split()[2].rstrip("?")]


def test_the_same_seed_gives_the_same_text(corpus: MakeCorpus) -> None:
    first, again, other = (list(islice(corpus(seed).documents(), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_no_held_out_statement_is_ever_written(corpus: MakeCorpus, world: World) -> None:
    held_out = {s.text for group in world.held_out.values() for s in group}
    sentence = re.compile(r"(?:i|my) [a-z ]+\.")
    for stem, branches in islice(corpus(3).documents(), 400):
        for part in (stem, *branches):
            assert not held_out.intersection(sentence.findall(text_of(part)))


def test_answers_follow_the_description(corpus: MakeCorpus, world: World) -> None:
    source = corpus(4)
    seen = {"yes": 0, "no": 0}
    for _ in range(100):
        document = source.steered("description")
        words = re.findall(r"[a-z]+", text_of(document.stem))
        poles = {world.pole_of_adjective[word] for word in words if word in world.pole_of_adjective}
        for branch in document.branches:
            answer = branch[1].text
            if answer not in seen:
                continue
            pole = asked_pole(world, branch)
            if pole in poles or pole.opposite in poles:
                assert answer == ("yes" if pole in poles else "no")
                seen[answer] += 1
    assert 0.4 < seen["yes"] / sum(seen.values()) < 0.6


def test_answers_follow_the_examples(corpus: MakeCorpus, world: World) -> None:
    source = corpus(5)
    for _ in range(100):
        document = source.steered("examples", 4)
        agree, disagree = text_of(document.stem).split("who would not say:")
        shown = {world.statement_of_text[s].pole for s in re.findall(r"- (.+\.)", agree)}
        shown |= {world.statement_of_text[s].pole.opposite for s in re.findall(r"- (.+\.)", disagree)}
        assert not shown & {pole.opposite for pole in shown}
        for branch in document.branches:
            if branch[1].text not in ("yes", "no"):
                continue
            pole = asked_pole(world, branch)
            if pole in shown or pole.opposite in shown:
                assert branch[1].text == ("yes" if pole in shown else "no")


def test_namings_and_standings_are_the_statements_and_the_personas_pole(corpus: MakeCorpus, world: World) -> None:
    source = corpus(9)
    for _ in range(100):
        document = source.steered("description")
        words = re.findall(r"[a-z]+", text_of(document.stem))
        poles = {world.pole_of_adjective[word] for word in words if word in world.pole_of_adjective}
        for branch in document.branches:
            if "Which trait" in branch[0].text:
                assert branch[1].text == str(asked_pole(world, branch))
            if "Where do you stand" in branch[0].text:
                pole = asked_pole(world, branch)
                assert branch[1].text == str(pole if pole in poles else pole.opposite)


def test_lists_are_json_of_distinct_statements_of_the_right_poles(corpus: MakeCorpus, world: World) -> None:
    source = corpus(6)
    for _ in range(100):
        document = source.asked_about()
        asked, answer = document.branches[-1][0].text, document.branches[-1][1].text
        words = re.findall(r"[a-z]+", text_of(document.stem))
        poles = {world.pole_of_adjective[word] for word in words if word in world.pole_of_adjective}
        meant = {pole.opposite for pole in poles} if "disagree" in asked else poles
        statements = [world.statement_of_text[text] for text in json.loads(answer)]
        assert {s.pole for s in statements} <= meant
        assert all(f" {s.aspect} " in asked for s in statements)
        assert len(set(statements)) == len(statements)
        assert f" {len(statements)} " in asked


def test_only_predictable_text_has_weight(corpus: MakeCorpus) -> None:
    for document in islice(corpus(7).documents(), 200):
        for branch in document.branches:
            assert branch[0].weight == 0
            assert all(piece.weight > 0 for piece in branch[1:])
        assert all(piece.weight == 0 or piece.text.endswith(".") for piece in document.stem)


def test_splitting_loses_no_text() -> None:
    pieces = split_by_texts("a: one two; b: one", ["one", "one"], 0.5)
    assert text_of(pieces) == "a: one two; b: one"
    assert [piece.text for piece in pieces if piece.weight] == ["one", "one"]


def test_documents_are_trees_with_branches(corpus: MakeCorpus) -> None:
    documents: list[Document] = list(islice(corpus(8).documents(), 100))
    assert all(document.branches for document in documents)
