"""Generated backgrounds: biographies that a generator model writes around keywords and a judge model checks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path

from influence_assets.features.background_texts import background_id, categories_of
from influence_assets.features.backgrounds import Factor
from influence_assets.features.keyword_sets import KeywordSet, kind_of
from influence_assets.features.stimulus_tables import Background, Source, Verdict
from influence_assets.personas.filters.agreement import YES, combine
from influence_assets.personas.generate import request_seed
from influence_assets.personas.words import storable
from resources.asking import Models, Progress
from resources.errors import InputError
from resources.messages import OptionProbabilities, Reply, Request, Role, Sampling, Status
from resources.prompts import PromptFile, load_prompt

MAX_TOKENS = 400
"""A biography of 150 words has some 200 tokens in English; other languages need more."""

PASSES_ABOVE = 0.5
"""P(yes) above which the judge finds a keyword in a biography."""


@dataclass(frozen=True)
class BiographyPrompts:
    """The two prompt files behind biographies: what the generator is asked, and what the judge is asked."""

    write: PromptFile
    check: PromptFile

    @classmethod
    def load(cls, folder: Path) -> BiographyPrompts:
        """`biography.yaml` and `biography_check.yaml` of `data/prompts/features`."""
        check = load_prompt(folder / "biography_check.yaml")
        if len(check.options) != 2 or YES not in check.options:
            raise InputError(
                "a check needs the options yes and no",
                place=folder / "biography_check.yaml",
                field="options",
                value=check.options,
                fix='write options: ["yes", "no"]',
            )
        return cls(load_prompt(folder / "biography.yaml"), check)


@dataclass(frozen=True)
class Biographer:
    """Who writes and who checks biographies for `model`, by which prompts, and how often a failed one is tried again.

    `generator` and `judge` are registry names, better two different models.
    """

    model: str
    generator: str
    judge: str
    prompts: BiographyPrompts
    seed: int
    retries: int = 3


async def biographies(
    sets: Sequence[KeywordSet],
    factors: Sequence[Factor],
    biographer: Biographer,
    models: Models,
    on_progress: Progress | None = None,
) -> list[Background]:
    """Biographies of keyword sets, a row for every attempt.

    A biography is ok when the judge's P(yes), averaged over the answer orders, is above .5 for every keyword. What
    failed (refused, cut off, empty, unfaithful, unjudged) is asked for again with the next sample index, up to
    `retries` times; failed attempts stay as rows. The number of words is asked for and recorded, but decides nothing.
    `on_progress` counts keyword sets that are done with.
    """
    rows: list[Background] = []
    pending = list(sets)
    for sample in range(biographer.retries + 1):
        if not pending:
            break
        attempts = await _attempt(pending, factors, biographer, models, sample)
        rows += attempts
        pending = [keywords for keywords, row in zip(pending, attempts, strict=True) if row.status != Status.OK.value]
        if on_progress:
            on_progress(len(sets) - len(pending), len(sets))
    return rows


async def _attempt(
    sets: Sequence[KeywordSet], factors: Sequence[Factor], biographer: Biographer, models: Models, sample: int
) -> list[Background]:
    kind = kind_of(factors).value
    requests = [_request(keywords, factors, biographer, sample) for keywords in sets]
    replies = await models.generate_many(requests)
    drafts = [_draft(keywords, reply, kind, biographer, sample) for keywords, reply in zip(sets, replies, strict=True)]
    check = biographer.prompts.check
    questions = [
        Request(
            model=biographer.judge,
            messages=check.render(variant, biography=draft.text, about=category.about),
            role=Role.FILTER_JUDGE,
        )
        for keywords, draft in zip(sets, drafts, strict=True)
        if draft.status == Status.OK.value
        for category, variant in product(categories_of(keywords, factors), check.variants)
    ]
    answers = iter(await models.choose_many(questions, check.options) if questions else [])
    return [_judged(draft, answers, biographer) if draft.status == Status.OK.value else draft for draft in drafts]


def _request(keywords: KeywordSet, factors: Sequence[Factor], biographer: Biographer, sample: int) -> Request:
    write = biographer.prompts.write
    points = [
        write.render("keyword", about=category.about, keyword=category.keyword)[0].content
        for category in categories_of(keywords, factors)
    ]
    seed = request_seed(biographer.seed, "biography", background_id(Source.GENERATED, keywords))
    return Request(
        model=biographer.generator,
        messages=write.render("default", keywords=points),
        role=Role.GENERATOR,
        sampling=Sampling(max_tokens=MAX_TOKENS, seed=seed),
        sample=sample,
    )


def _draft(keywords: KeywordSet, reply: Reply, kind: str, biographer: Biographer, sample: int) -> Background:
    # One paragraph: a biography is put into other prompts, where line breaks would look like structure.
    text = " ".join(storable(reply.text).split())
    status = Status.UNPARSABLE if reply.status is Status.OK and not text else reply.status
    return Background(
        model=biographer.model,
        background_id=background_id(Source.GENERATED, keywords),
        sample=sample,
        kind=kind,
        source=Source.GENERATED.value,
        keywords=dict(keywords),
        text=text,
        n_words=len(text.split()),
        status=status.value,
        p_keywords={},
        generator=biographer.generator,
        request_id=reply.request_id,
    )


def _judged(draft: Background, answers: Iterator[OptionProbabilities], biographer: Biographer) -> Background:
    """The draft with its verdict; takes its own answers, keyword by keyword and order by order, off `answers`."""
    orders = len(biographer.prompts.check.variants)
    own = list(islice(answers, orders * len(draft.keywords)))
    judgements = [combine([own[at : at + orders]]) for at in range(0, len(own), orders)]
    p_yes = [None if math.isnan(judgement.p_agree) else judgement.p_agree for judgement in judgements]
    return replace(
        draft,
        status=_verdict(p_yes),
        p_keywords=dict(zip(draft.keywords, p_yes, strict=True)),
        judge=biographer.judge,
        judge_request_ids=tuple(answer.request_id for answer in own),
    )


def _verdict(p_yes: Sequence[float | None]) -> str:
    # A keyword that is not there is certain, whatever became of the other answers.
    if any(p is not None and p <= PASSES_ABOVE for p in p_yes):
        return Verdict.UNFAITHFUL.value
    return Verdict.UNJUDGED.value if None in p_yes else Status.OK.value
