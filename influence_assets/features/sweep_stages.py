"""The steering sweep, trait scores and side effects as the assets call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.direction_tables import DIRECTIONS
from influence_assets.features.item_scores import ItemTable
from influence_assets.features.neutral import load_neutral
from influence_assets.features.orders import option_orders
from influence_assets.features.side_effect_items import load_side_effects
from influence_assets.features.side_effect_questions import (
    SideEffectPrompts,
    SideEffectQuestion,
    side_effect_questions,
)
from influence_assets.features.side_effects import item_values, side_effect_rows
from influence_assets.features.steering_tables import DOSE_RESPONSE, STEERING, DoseRow
from influence_assets.features.study_design import (
    checkpoint_of,
    factors_of,
    held_out,
    items_of,
    no_rows,
    opened_checkpoint,
    tested_traits,
    why_not,
)
from influence_assets.features.sweep import (
    PROMPT,
    Subject,
    Trial,
    questions_of,
    reference_coefficient,
    subjects_of,
    trials_of,
)
from influence_assets.features.sweep_rows import Sweep, dose_rows, steering_rows
from influence_assets.features.text_sets import persona_prompts
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint, Under, ask_traits
from influence_assets.features.trait_questions import TraitQuestion, load_trait_prompt, trait_questions
from influence_assets.features.trait_rows import Condition, score_rows
from influence_assets.features.trait_tables import SIDE_EFFECTS, TRAIT_ANSWERS, TRAIT_SCORES, TraitAnswer
from influence_assets.rows import from_frame, to_frame
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.asking import Models
from resources.messages import Message, OptionProbabilities, Request, Role
from resources.prompts import load_prompt

SIDE_METHOD = "difference_in_means"
"""The method under which side effects are measured."""


def sweep_steering(step: Step, k: int) -> Frames:
    """Every direction at every coefficient, with all controls, on held-out items."""
    directions = from_frame(DirectionRow, step.read(DIRECTIONS, iteration=k))
    if not directions:
        return no_rows(step, TRAIT_ANSWERS, STEERING, DOSE_RESPONSE)
    from influence_assets.features.sweep_costs import SweepCosts

    settings, checkpoint = step.study.features.steering, checkpoint_of(step, k)
    traits = tested_traits(step, items_of(step))
    subjects = subjects_of(directions, settings, traits)
    texts = load_neutral(step.project.data, settings.neutral)
    prompts = _prompts(step, settings.factors or traits)
    with opened_checkpoint(step, checkpoint) as model:
        costs = SweepCosts(model, texts, settings)
        tried = [subject for subject in subjects if not subject.is_null]
        nulls = [subject for subject in subjects if subject.is_null]
        root, report = step.project.root, step.progress("KL")
        kl = costs.kl_of_subjects(tried, settings.coefficients, root, report)
        reference = reference_coefficient(kl, tried, settings)
        kl |= costs.kl_of_subjects(nulls, (reference,), root, report)
        subjects = [*subjects, *(Subject(factor, category, PROMPT) for factor, category in prompts)]
        trials = trials_of(subjects, settings, reference, traits)
        answers = _asked(step, checkpoint, trials, prompts, traits)
        written = step.ask(
            lambda models: costs.write(models, checkpoint, trials, prompts, step.study.seed, step.progress("texts"))
        )
        spent = costs.by_condition(trials, kl, prompts, written)
    sweep = Sweep(
        checkpoint,
        settings,
        reference,
        traits,
        ItemTable.of(answers, min_mass=step.study.features.min_mass),
        spent,
        step.study.features.draws,
        step.study.seed,
    )
    return {
        TRAIT_ANSWERS: to_frame(TRAIT_ANSWERS, answers),
        STEERING: to_frame(STEERING, steering_rows(sweep, trials)),
        DOSE_RESPONSE: to_frame(DOSE_RESPONSE, dose_rows(sweep, subjects)),
    }


def _prompts(step: Step, factors: Sequence[str]) -> dict[tuple[str, str], tuple[Message, ...]]:
    """The system messages of steering by prompt, for the factors that are tried."""
    prompt = load_prompt(step.project.prompts / "features" / "persona.yaml")
    return persona_prompts(prompt, [factor for factor in factors_of(step) if factor.name in factors])


def _asked(
    step: Step,
    checkpoint: Checkpoint,
    trials: Sequence[Trial],
    prompts: Mapping[tuple[str, str], tuple[Message, ...]],
    traits: Sequence[str],
) -> list[TraitAnswer]:
    settings, prompt = step.study.features, load_trait_prompt(step.project.data)
    questions = trait_questions(prompt, items_of(step), option_orders(settings.steering.orders))
    by_trait: dict[str, list[TraitQuestion]] = {trait: [] for trait in traits}
    for question in held_out(questions, settings.steering.items):
        if question.item.trait in by_trait:
            by_trait[question.item.trait].append(question)
    asked = questions_of(trials, by_trait, settings.steering, prompts)
    return step.ask(
        lambda models: ask_traits(models, checkpoint, asked, prompt.options, step.progress("items")),
        min_mass=settings.min_mass,
    )


def score_traits(step: Step, k: int) -> Frames:
    """Trait scores of every condition of the sweep."""
    answers = from_frame(TraitAnswer, step.read(TRAIT_ANSWERS, iteration=k))
    settings = step.study.features
    rows = score_rows(answers, draws=settings.draws, seed=step.study.seed, min_mass=settings.min_mass)
    return {TRAIT_SCORES: to_frame(TRAIT_SCORES, rows)}


def measure_side_effects(step: Step, k: int) -> Frames:
    """Safety, hallucination and bias, unsteered and under each tried trait direction at the reference coefficient."""
    doses = from_frame(DoseRow, step.read(DOSE_RESPONSE, iteration=k))
    if why_not(step, k) or not doses:
        return no_rows(step, SIDE_EFFECTS)
    settings, checkpoint = step.study.features, checkpoint_of(step, k)
    items = load_side_effects(step.project.data, settings.side_effects)
    questions = side_effect_questions(SideEffectPrompts.load(step.project.data), items)
    rows = {row.direction_id: row for row in from_frame(DirectionRow, step.read(DIRECTIONS, iteration=k))}
    unders = [UNSTEERED]
    for dose in doses:
        row = rows.get(dose.direction_id or "")
        if row is not None and row.method == SIDE_METHOD:
            subject = Subject(row.factor, row.category, row.method, row.index, row)
            unders.append(subject.under(dose.reference, settings.steering))
    replies = step.ask(lambda models: _answers(models, checkpoint, unders, questions), min_mass=settings.min_mass)
    values = {name: item_values(questions, own, min_mass=settings.min_mass) for name, own in replies.items()}
    found = []
    for under in unders:
        condition = Condition(checkpoint.model, k, under.name, under.coefficient)
        base = None if under is UNSTEERED else values[UNSTEERED.name]
        found += side_effect_rows(condition, values[under.name], base, draws=settings.draws, seed=step.study.seed)
    return {SIDE_EFFECTS: to_frame(SIDE_EFFECTS, found)}


async def _answers(
    models: Models, checkpoint: Checkpoint, unders: Sequence[Under], questions: Sequence[SideEffectQuestion]
) -> dict[str, list[OptionProbabilities]]:
    """Replies by condition, in the order of the questions; questions with the same options are asked together."""
    by_options: dict[tuple[str, ...], list[int]] = {}
    for number, question in enumerate(questions):
        by_options.setdefault(question.options, []).append(number)
    replies: dict[str, dict[int, OptionProbabilities]] = {under.name: {} for under in unders}
    for options, numbers in by_options.items():
        asked = [(under, number) for under in unders for number in numbers]
        requests = [
            Request(
                checkpoint.model,
                questions[number].messages,
                Role.AGENT,
                adapter=checkpoint.adapter,
                steering=under.steering,
            )
            for under, number in asked
        ]
        for (under, number), reply in zip(asked, await models.choose_many(requests, options), strict=True):
            replies[under.name][number] = reply
    return {name: [own[number] for number in range(len(questions))] for name, own in replies.items()}
