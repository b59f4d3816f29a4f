"""Directions of every category by every method, as the asset calls it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.backgrounds import Factor, Half
from influence_assets.features.contrasts import Labelled
from influence_assets.features.direction_checks import heldout_auroc, opposite_cosine, pole_cosine
from influence_assets.features.direction_contrast import Contrast, Found, SaeLatents, Sides
from influence_assets.features.direction_method import DirectionMethod, Reads, chosen_directions
from influence_assets.features.direction_records import DirectionRow, direction_row
from influence_assets.features.direction_tables import DIRECTIONS, SAE_FEATURE_MAP
from influence_assets.features.found_directions import IMPORTED, Stream, direction_of
from influence_assets.features.layer_choice import chosen_layer
from influence_assets.features.map_stages import latents_of_categories
from influence_assets.features.reading_stages import DIRECTIONS_FOLDER, labelled_sets
from influence_assets.features.sae_stages import open_sae
from influence_assets.features.sae_tables import SAES, SaeRow
from influence_assets.features.steering_tables import ACTIVATIONS, LAYERS, ActivationRow, LayerRow
from influence_assets.features.study_design import checkpoint_of, factors_of, no_rows, opened_checkpoint
from influence_assets.features.sweep import NULLS, RANDOM
from influence_assets.features.text_sets import TextSet
from influence_assets.rows import from_frame, to_frame
from influence_assets.stats.intervals import Interval
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.direction_files import Reading, Sign, read_direction, write_direction
from resources.errors import InputError

if TYPE_CHECKING:
    from influence_assets.features.sae import Sae

Floats = NDArray[np.floating]
_SETS = {Reads.TEXT: TextSet.CONTRAST, Reads.ANSWER: TextSet.ANSWERS, Reads.RESPONSE: TextSet.RESPONSES}
_NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Workshop:
    """What directions are made of: kept activations, the layer, SAE latents of categories, blocks' names."""

    sets: Mapping[TextSet, Labelled]
    layer: int
    sae: str
    sae_layer: int | None
    latents: Mapping[tuple[str, str], SaeLatents]
    sae_in_hand: Sae | None
    hooks: Sequence[str]
    seed: int

    def contrast(self, method: DirectionMethod, factor: Factor, category: str) -> Contrast | None:
        """What a method is given for a category; None where there is nothing of the kind it reads."""
        layer = self.sae_layer if method.uses_sae else self.layer
        acts = self.sets.get(_SETS.get(method.reads, TextSet.CONTRAST))
        if layer is None or acts is None or layer not in acts.acts:
            return None
        found = acts.sides(factor, category, Half.SELECTION, layer)
        if found is None or (method.paired and not found[1]):
            return None
        by_layer = {k: one[0] for k in acts.acts if (one := acts.sides(factor, category, Half.SELECTION, k))}
        sae = self.latents.get((factor.name, category)) if method.uses_sae else None
        if method.uses_sae and sae is None:
            return None
        return Contrast(layer, found[0], found[1], by_layer, sae, self.seed)

    def stream(self, layer: int) -> Stream:
        """The stream of a layer; its scale is that of the contrast texts."""
        contrast = self.sets[TextSet.CONTRAST]
        return Stream(self.hooks[layer], contrast.acts[layer].shape[1], contrast.scales[layer])


def find_directions(step: Step, k: int) -> Frames:
    """Files and rows of all directions."""
    rows = from_frame(ActivationRow, step.read(ACTIVATIONS, iteration=k))
    if not rows:
        return no_rows(step, DIRECTIONS)
    factors, methods = factors_of(step), chosen_directions(step.study.features.directions)
    workshop = _workshop(step, k, rows)
    found: list[DirectionRow] = []
    for method in methods:
        if method.name == RANDOM:
            found += _random(step, k, workshop, method)
            continue
        for factor in factors:
            for number, category in enumerate(factor.categories):
                if not (number and method.name in NULLS):
                    found += _of_category(step, k, workshop, method, factor, category)
    found += _imported(step, k)
    return {DIRECTIONS: to_frame(DIRECTIONS, found)}


def imported_files(root: Path) -> list[Path]:
    """Files of directions that people brought in (`influence import control-vector`)."""
    return sorted((root / IMPORTED).rglob("*.safetensors"))


def _imported(step: Step, k: int) -> Iterator[DirectionRow]:
    """Imported directions of this model and iteration; no texts of the study went into them."""
    for path in imported_files(step.project.root):
        direction = read_direction(path)
        if (direction.origin.model, direction.origin.iteration) == (step.partition, k):
            relative = str(path.relative_to(step.project.root))
            yield direction_row(direction, relative, heldout=_NO_INTERVAL, n=0, cosine_opposite=None, cosine_poles=None)


def _workshop(step: Step, k: int, rows: Sequence[ActivationRow]) -> Workshop:
    from resources.local.blocks import blocks

    saes = [sae for sae in from_frame(SaeRow, step.read(SAES)) if sae.status == "ok"]
    sets, mapped = labelled_sets(step.project.root, rows), step.read(SAE_FEATURE_MAP, iteration=k)
    with opened_checkpoint(step, checkpoint_of(step, k)) as model:
        hooks = [block.name for block in blocks(model.model)]
        sae = open_sae(step, saes[0], model) if saes else None
        latents = {} if sae is None else latents_of_categories(step, sae, rows, sets, mapped)
    return Workshop(
        sets,
        chosen_layer(from_frame(LayerRow, step.read(LAYERS, iteration=k))),
        saes[0].sae if saes else "",
        None if sae is None else sae.layer,
        latents,
        sae,
        hooks,
        step.study.seed,
    )


def _of_category(
    step: Step, k: int, workshop: Workshop, method: DirectionMethod, factor: Factor, category: str
) -> Iterator[DirectionRow]:
    contrast = workshop.contrast(method, factor, category)
    if contrast is None:
        return
    try:
        vectors = method.find(contrast)
    except InputError as error:
        step.context.log.warning(f"{method.name} finds no direction of {factor.name} {category}: {error}")
        return
    for found in vectors:
        yield _row(step, k, workshop, method, factor, category, found)


def _random(step: Step, k: int, workshop: Workshop, method: DirectionMethod) -> Iterator[DirectionRow]:
    """Random vectors belong to no factor: one series for all."""
    acts = workshop.sets[TextSet.CONTRAST].acts[workshop.layer]
    for found in method.find(Contrast(workshop.layer, Sides(acts, acts), seed=workshop.seed)):
        direction = direction_of(
            found,
            workshop.stream(found.layer),
            model=step.partition,
            iteration=k,
            factor="",
            category="",
            method=method.name,
            sign=Sign.NONE,
        )
        path = write_direction(direction, step.project.root / DIRECTIONS_FOLDER)
        relative = str(path.relative_to(step.project.root))
        yield direction_row(direction, relative, heldout=_NO_INTERVAL, n=0, cosine_opposite=None, cosine_poles=None)


def _row(
    step: Step, k: int, workshop: Workshop, method: DirectionMethod, factor: Factor, category: str, found: Found
) -> DirectionRow:
    texts = workshop.sets[TextSet.CONTRAST]
    direction = direction_of(
        found,
        workshop.stream(found.layer),
        model=step.partition,
        iteration=k,
        factor=factor.name,
        category=category,
        method=method.name,
        sae=workshop.sae if method.uses_sae else "",
        sign=Sign.NONE if method.name in NULLS else Sign.CATEGORY,
        reading=_reading(workshop, method, found),
    )
    path = write_direction(direction, step.project.root / DIRECTIONS_FOLDER)
    heldout = texts.sides(factor, category, Half.HELDOUT, found.layer)
    opposite, poles = _cosines(workshop, method, factor, category, found)
    return direction_row(
        direction,
        str(path.relative_to(step.project.root)),
        heldout=heldout_auroc(found.vector_D, heldout[0].positive_N_D, heldout[0].negative_M_D)
        if heldout
        else _NO_INTERVAL,
        n=len(heldout[0].positive_N_D) + len(heldout[0].negative_M_D) if heldout else 0,
        cosine_opposite=opposite,
        cosine_poles=poles,
    )


def _reading(workshop: Workshop, method: DirectionMethod, found: Found) -> Reading | None:
    """What a single latent reads, so that clamping sets the latent and not the projection."""
    if not method.uses_sae or workshop.sae_in_hand is None:
        return None
    from influence_assets.features.sae_reading import reading_of

    return reading_of(workshop.sae_in_hand, found.vector_D)


def _cosines(
    workshop: Workshop, method: DirectionMethod, factor: Factor, category: str, found: Found
) -> tuple[float | None, float | None]:
    """How the direction lies to the opposite category's held-out texts, and how the two poles' own directions lie."""
    opposite, texts = factor.opposite(category), workshop.sets[TextSet.CONTRAST]
    if opposite is None or method.name in NULLS:
        return None, None
    layer = found.layer
    elsewhere = texts.elsewhere(factor.name, Half.HELDOUT, layer)
    other = texts.acts[layer][texts.rows(factor.name, [opposite], Half.HELDOUT)]
    if len(elsewhere) < 2 or len(other) < 2:
        return None, None
    own = texts.acts[layer][texts.rows(factor.name, [category], Half.SELECTION)]
    far = texts.acts[layer][texts.rows(factor.name, [opposite], Half.SELECTION)]
    neutral = texts.elsewhere(factor.name, Half.SELECTION, layer)
    poles = pole_cosine(method, own, far, neutral, layer=layer, seed=workshop.seed)
    return opposite_cosine(found.vector_D, other, elsewhere), poles
