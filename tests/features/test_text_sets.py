"""The texts whose activations are kept: letters that stand for no pole, and responses behind their prompts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from influence_assets.features.items import Half, TraitItem
from influence_assets.features.stimulus_tables import ContrastText
from influence_assets.features.text_sets import (
    RESPONSE_SAMPLES,
    Label,
    answer_spans,
    contrast_spans,
    labels_of,
    persona_prompts,
    response_spans,
    responses,
)
from influence_assets.features.trait_asking import Checkpoint
from influence_assets.features.trait_questions import load_trait_prompt
from influence_assets.notes import Notes
from resources.asking import Progress
from resources.local.opened import OpenModel
from resources.messages import Reply, Request, Status
from resources.prompts import load_prompt
from tests.features.stimulus_files import DATA, factor
from tests.features.tiny_open import tiny_open

PERSONA = load_prompt(DATA / "prompts" / "features" / "persona.yaml")
TEMPER = factor("temper", ["warm", "cold"], "trait")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models")) as found:
        yield found


def items(n: int) -> list[TraitItem]:
    """Every third item is held out."""
    halves = [Half.HELDOUT if number % 3 == 2 else Half.SELECTION for number in range(n)]
    return [
        TraitItem(f"t{number}", "set", "temper", "you meet one", "", ("warm", "kind"), ("cold", "tall"), half)
        for number, half in enumerate(halves)
    ]


def test_no_letter_stands_for_a_pole(model: OpenModel) -> None:
    prompt = load_trait_prompt(DATA)
    found = answer_spans(model, prompt, items(24))
    letters: dict[str, Counter[str]] = {"high": Counter(), "low": Counter()}
    for span, label in zip(found.spans, found.labels, strict=True):
        letters[label.category][model.chat.decode(span.ids[span.start :]).strip()] += 1
    assert letters["high"] == letters["low"] == dict.fromkeys("ABCD", 4)


def test_answers_are_of_the_selection_half_and_pair_by_item(model: OpenModel) -> None:
    found = answer_spans(model, load_trait_prompt(DATA), items(9))
    wanted = [item.id for item in items(9) if item.half is Half.SELECTION]
    assert [(label.category, label.pair) for label in found.labels] == [
        (category, one) for one in wanted for category in ("high", "low")
    ]
    for high, low in zip(found.spans[::2], found.spans[1::2], strict=True):
        assert high.ids[: high.start] == low.ids[: low.start], "the same question"
        assert high.ids[high.start :] != low.ids[low.start :]


class Replies(Notes):
    """Replies in turn, over and over."""

    def __init__(self, replies: Sequence[tuple[Status, str]]) -> None:
        super().__init__(lambda _: "")
        self._replies = replies

    async def generate_many(self, requests: Sequence[Request], on_progress: Progress | None = None) -> list[Reply]:
        await super().generate_many(requests, on_progress)
        return [Reply("r", *self._replies[number % len(self._replies)]) for number in range(len(requests))]


def said(replies: Replies) -> list[tuple[Label, Request, Reply]]:
    return asyncio.run(responses(replies, Checkpoint("m", 1, "adapter"), PERSONA, [TEMPER], 7))


def test_every_category_speaks_of_itself_and_failures_are_left_out(model: OpenModel) -> None:
    questions = [name for name in PERSONA.variants if name != "steer"]
    everybody = Replies([(Status.OK, "warm kind")])
    found = said(everybody)
    assert len(found) == 2 * len(questions) * RESPONSE_SAMPLES
    assert {label.category for label, _, _ in found} == {"warm", "cold"}
    by_category = [{label.pair for label, _, _ in found if label.category == category} for category in ("warm", "cold")]
    assert by_category[0] == by_category[1]
    assert len(by_category[0]) == len(questions) * RESPONSE_SAMPLES
    asked = [plan.request for plan in everybody.planned]
    assert {request.adapter for request in asked} == {"adapter"}
    assert len({(request.messages, request.sample) for request in asked}) == len(asked), "no draw is another's"

    some = said(Replies([(Status.OK, "warm"), (Status.REFUSAL, "no"), (Status.OK, "  "), (Status.TRUNCATED, "kind")]))
    assert [reply.text for _, _, reply in some] == ["warm", "kind"] * (len(found) // 4)
    spans = response_spans(model, some)
    assert spans.labels == [label for label, _, _ in some]
    for span, (_, request, reply) in zip(spans.spans, some, strict=True):
        assert list(span.ids[: span.start]) == model.chat.tokens(request.messages)
        assert model.chat.decode(span.ids[span.start :]).strip() == reply.text


def test_contrast_texts_keep_their_labels_through_the_table(model: OpenModel) -> None:
    texts = [
        ContrastText("m", "id0", "temper", "warm", "selection", "fixed", "frame", "kind red"),
        ContrastText("m", "id1", "temper", "cold", "heldout", "file", None, "ü cold"),
    ]
    found = contrast_spans(model, texts)
    assert labels_of(found.content) == found.labels
    assert [label.pair for label in found.labels] == ["frame", "id1"], "what pairs with nothing has a name of its own"
    assert all(span.start < len(span.ids) for span in found.spans)


def test_steering_by_prompt_is_a_system_message_for_every_category() -> None:
    found = persona_prompts(PERSONA, [TEMPER])
    assert set(found) == {("temper", "warm"), ("temper", "cold")}
    for (_, category), messages in found.items():
        assert [message.role for message in messages] == ["system"]
        assert TEMPER.categories[category].about in messages[0].content
