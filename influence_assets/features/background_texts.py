"""Fixed backgrounds: the keywords of a set as a few plain sentences. `biographies.py` has the generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, cycle

from influence_assets.features.backgrounds import Category, Factor, chosen
from influence_assets.features.frames import Frames
from influence_assets.features.keyword_sets import KeywordSet, kind_of
from influence_assets.features.stimulus_tables import Background, Source
from resources.content import sha256_of
from resources.messages import Status


def background_id(source: Source, keywords: KeywordSet) -> str:
    """16 hex digits that name the background of a source with these keywords."""
    return sha256_of(["background", source.value, [list(keyword) for keyword in keywords]])[:16]


def categories_of(keywords: KeywordSet, factors: Sequence[Factor]) -> list[Category]:
    """The category behind every keyword, in order; an `InputError` for one that the factors do not have."""
    return [chosen(factors, factor, category) for factor, category in keywords]


def fixed_backgrounds(
    sets: Sequence[KeywordSet], factors: Sequence[Factor], frames: Frames, *, model: str
) -> list[Background]:
    """One row per keyword set: the first frame opens with the first keyword, the other frames go on in turn.

    `frames` are those of `data/prompts/features/backgrounds.yaml`. Raises `InputError` for a keyword that the factors
    do not have.
    """
    kind = kind_of(factors).value
    return [_fixed(keywords, kind, _sentences(categories_of(keywords, factors), frames), model) for keywords in sets]


def _sentences(categories: Sequence[Category], frames: Frames) -> str:
    opening, *further = frames.names
    names = chain([opening], cycle(further or [opening]))
    return " ".join(frames.fill(name, category.about) for category, name in zip(categories, names, strict=False))


def _fixed(keywords: KeywordSet, kind: str, text: str, model: str) -> Background:
    return Background(
        model=model,
        background_id=background_id(Source.FIXED, keywords),
        sample=0,
        kind=kind,
        source=Source.FIXED.value,
        keywords=dict(keywords),
        text=text,
        n_words=len(text.split()),
        status=Status.OK.value,
        p_keywords={},
    )
