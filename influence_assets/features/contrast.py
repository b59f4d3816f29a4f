"""Contrast texts: many wordings of every category, half of them to choose by and half to measure by.

Held-out texts are new wordings: a frame, a biography or a place in the file belongs to one half, for all categories.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from influence_assets.features.backgrounds import Category, Factor, Half, wording
from influence_assets.features.frames import Frames
from influence_assets.features.stimulus_tables import Background, ContrastText, Source
from resources.content import sha256_of
from resources.errors import InputError
from resources.messages import Status

PER_HALF = 4
"""Fewest texts of a category in either half."""

ENOUGH_OWN = 2 * PER_HALF
"""Own texts of a category from which on they need no frames and no biographies."""


class _Text(NamedTuple):
    half: Half
    source: Source
    pair: str | None
    text: str


class _Stock(NamedTuple):
    """What all categories draw from."""

    frames: Frames
    half_of_frame: Mapping[str, Half]
    biographies: Sequence[tuple[Half, Background]]
    seed: int
    own_alone: bool


def contrast_texts(
    factors: Sequence[Factor],
    frames: Frames,
    backgrounds: Sequence[Background] = (),
    *,
    model: str,
    seed: int,
    own_alone: bool = True,
) -> list[ContrastText]:
    """The contrast texts of every category, in the order of the factors.

    A category has its own texts, the `frames` (those of `data/prompts/features/contrast.yaml`) filled with its `about`,
    and the `backgrounds` that are biographies, ok, and hold it as a keyword. With `own_alone`, a category that has at
    least eight own texts has these alone. Texts whose half is not stated are split half and half by seed: own texts per
    factor, by their place; frames once for all; biographies so that every category's are nearly half and half.

    Raises `InputError` when a category has fewer than four texts in either half, or a text stands in both halves.
    """
    stock = _Stock(frames, _split(frames.names, seed, "frames"), _biographies(backgrounds, seed), seed, own_alone)
    rows = [
        ContrastText(
            model=model,
            text_id=text_id(text.text),
            factor=factor.name,
            category=category,
            half=text.half.value,
            source=text.source.value,
            pair=text.pair,
            text=text.text,
        )
        for factor in factors
        for category in factor.categories
        for text in _texts_of(factor, category, stock)
    ]
    _refuse_both_halves(rows)
    return rows


def text_id(text: str) -> str:
    """16 hex digits that name a text by its content alone."""
    return sha256_of(["contrast text", text])[:16]


def _texts_of(factor: Factor, name: str, stock: _Stock) -> list[_Text]:
    category = factor.categories[name]
    found = list(_own(factor, category, stock.seed))
    if not (stock.own_alone and len(found) >= ENOUGH_OWN):
        found += [
            _Text(stock.half_of_frame[frame], Source.FIXED, f"frame {frame}", stock.frames.fill(frame, category.about))
            for frame in stock.frames.names
        ]
        found += [
            _Text(half, Source.GENERATED, None, background.text)
            for half, background in stock.biographies
            if background.keywords.get(factor.name) == name
        ]
    first: dict[str, _Text] = {}
    for text in found:
        first.setdefault(wording(text.text), text)
    _refuse_few(factor, name, list(first.values()))
    return list(first.values())


def _own(factor: Factor, category: Category, seed: int) -> Iterator[_Text]:
    # Lists of one length are split alike, so that what stands at the same place of two categories stays together.
    places = [str(place) for place in range(len(category.texts.either))]
    half_of_place = _split(places, seed, f"texts of {factor.name}")
    for stated, place, text in category.texts.located():
        half = stated or half_of_place[str(place)]
        yield _Text(half, Source.FILE, f"{stated.value if stated else 'text'} {place}", text)


def _split(names: Sequence[str], seed: int, what: str) -> dict[str, Half]:
    """Half of the names for selection (the smaller half where they are odd), the others held out."""
    rng = random.Random(sha256_of(["contrast halves", seed, what]))
    shuffled = rng.sample(names, len(names))
    return {name: Half.SELECTION if place < len(names) // 2 else Half.HELDOUT for place, name in enumerate(shuffled)}


def _biographies(backgrounds: Sequence[Background], seed: int) -> list[tuple[Half, Background]]:
    """Every sound biography with its half, in the order of the ids; one that says again what another said is left out.

    One biography speaks for a category of every factor. In seeded order each goes to the half in which its categories
    have been rarer so far; a coin decides where neither is.
    """
    sound: dict[str, Background] = {}
    for background in sorted(backgrounds, key=lambda background: (background.background_id, background.sample)):
        if background.source == Source.GENERATED.value and background.status == Status.OK.value:
            sound.setdefault(wording(background.text), background)
    rng = random.Random(sha256_of(["contrast halves", seed, "biographies"]))
    surplus: Counter[tuple[str, str]] = Counter()
    halves: list[tuple[Half, Background]] = []
    for background in rng.sample(list(sound.values()), len(sound)):
        lean = sum(surplus[keyword] for keyword in background.keywords.items()) or rng.choice((-1, 1))
        halves.append((Half.HELDOUT if lean > 0 else Half.SELECTION, background))
        for keyword in background.keywords.items():
            surplus[keyword] += -1 if lean > 0 else 1
    return sorted(halves, key=lambda pair: pair[1].background_id)


def _refuse_few(factor: Factor, category: str, texts: Sequence[_Text]) -> None:
    count = Counter(text.half for text in texts)
    selection, heldout = count[Half.SELECTION], count[Half.HELDOUT]
    if min(selection, heldout) < PER_HALF:
        raise InputError(
            f"has {selection} contrast texts for selection and {heldout} held out; each half needs {PER_HALF}",
            field=f"{factor.name}.{category}",
            value=len(texts),
            fix="add texts to its file or frames to data/prompts/features/contrast.yaml",
        )


def _refuse_both_halves(rows: Sequence[ContrastText]) -> None:
    first: dict[str, ContrastText] = {}
    for row in rows:
        other = first.setdefault(row.text_id, row)
        if other.half != row.half:
            raise InputError(
                f"is {row.half}, but also a text of {other.factor}.{other.category}, where it is {other.half}",
                field=f"{row.factor}.{row.category}",
                value=row.text,
                fix="state its half in the file, or say it in other words in one of the two",
            )
