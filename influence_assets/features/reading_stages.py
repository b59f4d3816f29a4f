"""Activations, layers and directions as the assets call them: landed rows in, plain functions, rows out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from influence_assets.features.activation_files import kept_activations, read_activations
from influence_assets.features.backgrounds import Factor, Half, Kind
from influence_assets.features.contrasts import Labelled
from influence_assets.features.direction_contrast import Found, Sides
from influence_assets.features.found_directions import Stream, direction_of
from influence_assets.features.layer_choice import (
    LayerTrial,
    candidate_layers,
    layer_rows,
    reading_auroc,
    trial_coefficient,
)
from influence_assets.features.orders import option_orders
from influence_assets.features.pooling import Pooling
from influence_assets.features.sae_tables import SAES, SaeRow
from influence_assets.features.steering_tables import ACTIVATIONS, LAYERS, ActivationRow
from influence_assets.features.stimulus_tables import CONTRAST_TEXTS, ContrastText
from influence_assets.features.study_design import (
    adapter_hash,
    checkpoint_of,
    factors_of,
    for_selection,
    items_of,
    no_rows,
    opened_checkpoint,
    tested_traits,
    weights_of,
    why_not,
)
from influence_assets.features.text_sets import (
    TextSet,
    answer_spans,
    contrast_spans,
    labels_of,
    response_spans,
    responses,
)
from influence_assets.features.trait_asking import Checkpoint, Under, ask_traits
from influence_assets.features.trait_questions import load_trait_prompt, trait_questions
from influence_assets.rows import from_frame, to_frame
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.direction_files import write_direction
from resources.prompts import load_prompt
from resources.steering import Push

DIRECTIONS_FOLDER = Path("data") / "features" / "directions"


def keep_activations(step: Step, k: int) -> Frames:
    """Activations of the checkpoint on every text set."""
    if why_not(step, k):
        return no_rows(step, ACTIVATIONS)
    checkpoint, settings, root = checkpoint_of(step, k), step.study.features, step.project.root
    texts = from_frame(ContrastText, step.read(CONTRAST_TEXTS))
    items, prompt = items_of(step), load_trait_prompt(step.project.data)
    persona = load_prompt(step.project.prompts / "features" / "persona.yaml")
    factors = [factor for factor in factors_of(step) if factor.kind is Kind.TRAIT]
    said = step.ask(lambda models: responses(models, checkpoint, persona, factors, step.study.seed, step.progress()))
    weights = weights_of(step, checkpoint, adapter_hash(step, k))
    rows = []
    with opened_checkpoint(step, checkpoint) as model:
        layers = candidate_layers(settings, int(model.model.config.get_text_config().num_hidden_layers))
        own = [row.layer for row in from_frame(SaeRow, step.read(SAES))]
        layers = tuple(sorted({*layers, *own, *([] if settings.layer is None else [settings.layer])}))
        contrast = contrast_spans(model, texts)
        for text_set, labelled, pooling, at in (
            (TextSet.CONTRAST, contrast, settings.pooling, layers),
            (TextSet.TOKENS, contrast, Pooling.TOKENS, own),
            (TextSet.ANSWERS, answer_spans(model, prompt, items), Pooling.LAST, layers),
            (TextSet.RESPONSES, response_spans(model, said), Pooling.MEAN, layers),
        ):
            if not labelled.spans or not at:
                continue
            for kept in kept_activations(model, root, weights, labelled.spans, at, pooling):
                rows.append(
                    ActivationRow(
                        model=checkpoint.model,
                        iteration=k,
                        text_set=text_set.value,
                        layer=kept.layer,
                        pooling=pooling.value,
                        n=kept.n,
                        width=kept.width,
                        scale=kept.scale,
                        path=kept.path,
                        content=labelled.content,
                    )
                )
    return {ACTIVATIONS: to_frame(ACTIVATIONS, rows)}


def labelled_sets(root: Path, rows: Sequence[ActivationRow]) -> Mapping[TextSet, Labelled]:
    """Kept activations by text set."""
    found: dict[TextSet, Labelled] = {}
    for row in rows:
        one = found.setdefault(TextSet(row.text_set), Labelled({}, labels_of(row.content), {}))
        one.acts[row.layer] = read_activations(root / row.path).acts_N_D
        one.scales[row.layer] = row.scale
    return found


def choose_layer(step: Step, k: int) -> Frames:
    """How well every candidate layer reads, and, where the study leaves the choice open, how much it moves."""
    rows = from_frame(ActivationRow, step.read(ACTIVATIONS, iteration=k))
    if not rows:
        return no_rows(step, LAYERS)
    settings, contrast = step.study.features, labelled_sets(step.project.root, rows)[TextSet.CONTRAST]
    found = list(_found(contrast, factors_of(step)))
    shifts = {} if settings.layer is not None else _tried(step, checkpoint_of(step, k), contrast, found)
    layers = sorted({layer for layer, _, _, _ in found})
    trials = {
        layer: LayerTrial(
            _mean([reading_auroc(sides) for at, _, _, sides in found if at == layer]), shifts.get(layer, math.nan)
        )
        for layer in layers
    }
    return {LAYERS: to_frame(LAYERS, layer_rows(trials, settings, model=step.partition, iteration=k))}


def _found(contrast: Labelled, factors: Sequence[Factor]) -> Iterator[tuple[int, Factor, str, Sides]]:
    """The first category of every factor at every layer, with its sides of the selection half."""
    for layer in sorted(contrast.acts):
        for factor in factors:
            category = next(iter(factor.categories))
            found = contrast.sides(factor, category, Half.SELECTION, layer)
            if found is not None:
                yield layer, factor, category, found[0]


def _tried(
    step: Step, checkpoint: Checkpoint, contrast: Labelled, found: Sequence[tuple[int, Factor, str, Sides]]
) -> dict[int, float]:
    """Mean over traits of P(high) at +c less that at -c, by layer, on items of the selection half."""
    settings, items = step.study.features, items_of(step)
    traits, c = tested_traits(step, items), trial_coefficient(settings)
    prompt = load_trait_prompt(step.project.data)
    questions = for_selection(
        trait_questions(prompt, items, option_orders(settings.steering.orders)), settings.steering.selection_items
    )
    trials, signs = [], []
    for layer, factor, category, sides in found:
        if factor.name not in traits:
            continue
        difference_D = sides.difference_D()
        norm = math.hypot(*difference_D)
        stream = Stream("", len(difference_D), contrast.scales[layer])
        direction = direction_of(
            Found(difference_D / norm, norm, layer),
            stream,
            model=checkpoint.model,
            iteration=checkpoint.iteration,
            factor=factor.name,
            category=category,
            method="layer_choice",
        )
        path = write_direction(direction, step.project.root / DIRECTIONS_FOLDER / "tried")
        for sign in (1, -1):
            push = Push(str(path.relative_to(step.project.root)), sign * c, settings.steering.mode)
            own = [question for question in questions if question.item.trait == factor.name]
            trials.append((Under(f"{layer} {factor.name} {sign}", (push,), sign * c), own))
            signs.append((layer, sign))
    answers = step.ask(
        lambda models: ask_traits(models, checkpoint, trials, prompt.options, step.progress("layers")),
        min_mass=settings.min_mass,
    )
    shifts: dict[int, list[float]] = {}
    done = 0
    for (layer, sign), (_, own) in zip(signs, trials, strict=True):
        part, done = answers[done : done + len(own)], done + len(own)
        high = [one.p_high1 + one.p_high2 for one in part if one.p_high1 is not None and one.p_high2 is not None]
        shifts.setdefault(layer, []).append(sign * _mean(high) * 2)
    return {layer: _mean(values) for layer, values in shifts.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
