"""The steps of the loop as the assets call them: landed rows in, plain functions, rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import polars as pl

from influence_assets.influence import tables
from influence_assets.influence.environments import Environment
from influence_assets.influence.examples import examples_of
from influence_assets.influence.judging import Judges, judge_training
from influence_assets.influence.loading import Family, filled, load_families
from influence_assets.influence.measures import FIDELITY, measured
from influence_assets.influence.metrics import metrics_of
from influence_assets.influence.probe_sets import answer_probes, is_probe, load_probe_sets
from influence_assets.influence.progress_log import ProgressLog
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import (
    CheckpointRow,
    Condition,
    Conversation,
    Judgement,
    Trajectory,
    Turn,
)
from influence_assets.influence.rejudging import rejudge as judge_anew
from influence_assets.influence.rollout import Rollouts
from influence_assets.influence.rollout import roll_out as roll_out_all
from influence_assets.influence.rows_of import environment_rows, families_of, state_rows
from influence_assets.influence.rubrics import load_rubrics
from influence_assets.influence.scheduler import lanes_of
from influence_assets.influence.selection import select
from influence_assets.influence.settings import EvaluationSettings
from influence_assets.influence.states import Start, held_out_starts, training_starts
from influence_assets.influence.study_design import cast_of, evaluation_judges, player, training_settings
from influence_assets.influence.training.example_rows import example_rows
from influence_assets.influence.training.static_data import Layout, mixed, read_preferences
from influence_assets.rows import from_frame, to_frame
from influence_assets.standing import Standing
from influence_assets.step import Step
from influence_assets.steps import Frames
from influence_assets.study import Study
from resources.asking import Models
from resources.messages import Role
from resources.tables import Table


def land_family(data: Path, name: str) -> Frames:
    """A family's environments and initial states."""
    family = load_families(data, [name])[name]
    return {tables.ENVIRONMENTS: environment_rows(family), tables.INITIAL_STATES: state_rows(family)}


def roll_out(step: Step, k: int) -> Frames:
    """Conversations of checkpoint k, and its answers to probe sets; none when there is no such checkpoint."""
    checkpoints = from_frame(CheckpointRow, step.read(tables.CHECKPOINTS, iteration=k))
    held = _hold(step, k, checkpoints[0]) if checkpoints else Rollouts([], [], [])
    return {
        tables.CONVERSATIONS: to_frame(tables.CONVERSATIONS, held.conversations),
        tables.TURNS: to_frame(tables.TURNS, held.turns),
        tables.STANCE_PROBES: to_frame(tables.STANCE_PROBES, held.stance),
    }


def _hold(step: Step, k: int, checkpoint: CheckpointRow) -> Rollouts:
    study, starts = step.study, starts_of(_families(step), step.study, k)
    cast, registry = cast_of(study, step.project.registry, step.partition, checkpoint)
    probe_sets = load_probe_sets(step.project.root, study.influence.evaluation.probe_sets)

    async def work(models: Models) -> Rollouts:
        held = await roll_out_all(
            starts,
            models,
            study=study.name,
            model=step.partition,
            iteration=k,
            seed=study.seed,
            cast=cast,
            prompting=_prompting(step),
            settings=study.influence.rollouts,
            min_mass=study.influence.min_mass,
            live=lanes_of(registry),
            log=ProgressLog.of(step.project.data / "progress", study.name, step.partition, k),
            on_progress=step.progress("turns"),
        )
        for probe_set in probe_sets:
            conversations, turns = await answer_probes(
                probe_set,
                models,
                study=study.name,
                seed=study.seed,
                model=cast.agent,
                iteration=k,
                adapter=cast.adapter,
                on_progress=step.progress(f"probes {probe_set.name}"),
            )
            held.conversations.extend(replace(one, model=step.partition) for one in conversations)
            held.turns.extend(replace(one, model=step.partition) for one in turns)
        return held

    return step.ask(work, registry, min_mass=study.influence.min_mass)


def score(step: Step, k: int) -> Frames:
    """Training judgements and trajectories of iteration k. The answers come from the cache: rollouts have asked."""
    conversations = [one for one in _conversations(step, k) if not is_probe(one) and one.condition == Condition.AGENT]
    judges = Judges(player(step.study, Role.PREFERENCE), player(step.study, Role.VETO))
    settings = step.study.influence
    judgements, trajectories = step.ask(
        lambda models: judge_training(
            conversations,
            _turns(step, k),
            _environments(step),
            models,
            judges=judges,
            prompting=_prompting(step),
            reward=settings.reward,
            min_mass=settings.min_mass,
            on_progress=step.progress("judgements"),
        ),
        min_mass=settings.min_mass,
    )
    return {
        tables.JUDGEMENTS: to_frame(tables.JUDGEMENTS, judgements),
        tables.TRAJECTORIES: to_frame(tables.TRAJECTORIES, trajectories),
    }


def select_training(step: Step, k: int) -> Frames:
    """What the next checkpoint learns from; nothing when the model is not trained."""
    training = training_settings(step.study, step.project.registry[step.partition])
    settings = step.study.influence
    trajectories = [
        one
        for one in from_frame(Trajectory, step.read(tables.TRAJECTORIES, iteration=k))
        if one.split == "train" and one.condition == Condition.AGENT
    ]
    if training is None:
        return {table: to_frame(table, []) for table in (tables.SELECTIONS, tables.TRAINING_EXAMPLES)}
    selections = select(trajectories, settings.selection, seed=step.study.seed, method=training.method)
    examples = examples_of(
        selections,
        _conversations(step, k),
        _turns(step, k),
        _environments(step),
        _prompting(step),
        method=training.method,
        negative_veto=settings.selection.negative_veto,
    )
    if settings.static is not None and examples:
        layout = Layout(settings.static.layout)
        read = [read_preferences(path, layout) for path in static_files(step)]
        preferences = list(chain.from_iterable(one.preferences for one in read))
        examples = list(mixed(examples, preferences, settings.static.fraction, training.method, step.study.seed))
    return {
        tables.SELECTIONS: to_frame(tables.SELECTIONS, selections),
        tables.TRAINING_EXAMPLES: to_frame(
            tables.TRAINING_EXAMPLES, example_rows(examples, model=step.partition, iteration=k)
        ),
    }


def rejudge(step: Step, k: int) -> Frames:
    """Evaluation judgements of iteration k: the study's rubrics, those of each environment's harm, and fidelity."""
    turns, judges = _turns(step, k), evaluation_judges(step.study)
    by_rubrics = by_rubrics_of(_conversations(step, k), _environments(step), step.study.influence.evaluation)

    async def work(models: Models) -> list[Judgement]:
        rows: list[Judgement] = []
        for names, conversations in sorted(by_rubrics.items()):
            rows += await judge_anew(
                conversations,
                turns,
                models,
                rubrics=load_rubrics(step.project.data / "judges", names),
                judges=judges,
                prompting=_prompting(step),
                min_mass=step.study.influence.min_mass,
                on_progress=step.progress("judgements"),
            )
        return rows

    return {tables.JUDGEMENTS: to_frame(tables.JUDGEMENTS, step.ask(work, min_mass=step.study.influence.min_mass))}


def by_rubrics_of(
    conversations: Sequence[Conversation],
    environments: Callable[[Conversation], Environment],
    settings: EvaluationSettings,
) -> dict[tuple[str, ...], list[Conversation]]:
    """Which conversations are judged anew, by the names of the rubrics that they are judged by."""
    found: dict[tuple[str, ...], list[Conversation]] = {}
    for one in conversations:
        if is_probe(one):
            names = settings.probe_rubrics
        elif one.condition != Condition.AGENT or (one.split == "train" and not settings.train_split):
            continue
        else:
            names = (*settings.rubrics, *environments(one).harm, *((FIDELITY,) if settings.fidelity else ()))
        found.setdefault(tuple(sorted(set(names))), []).append(one)
    return found


def measure(step: Step) -> Frames:
    """Metrics over all iterations."""
    values = conversation_measures(step)
    rows = metrics_of(values, model=step.partition, draws=step.study.influence.draws, seed=step.study.seed)
    return {tables.METRICS: to_frame(tables.METRICS, rows)}


def conversation_measures(step: Step) -> pl.DataFrame:
    """Every measure as one number per conversation, over all iterations (the frame of `measures.measured`)."""
    iterations = range(step.study.influence.iterations + 1)

    def every(table: Table, **fixed: str) -> pl.DataFrame:
        return pl.concat([step.read(table, iteration=k, **fixed) for k in iterations])

    environments = step.read(tables.ENVIRONMENTS).select("environment", "harm")
    return measured(
        every(tables.CONVERSATIONS),
        every(tables.TRAJECTORIES),
        every(tables.JUDGEMENTS, purpose="evaluation"),
        every(tables.STANCE_PROBES),
        {name: dict(harm or {}) for name, harm in environments.iter_rows()},
    )


def probe_files(step: Standing) -> list[Path]:
    """The probe sets of the study."""
    return [step.project.root / file for file in step.study.influence.evaluation.probe_sets]


def static_files(step: Standing) -> list[Path]:
    """The static preference data of the study."""
    static = step.study.influence.static
    return [step.project.root / file for file in static.files] if static else []


def starts_of(families: Mapping[str, Family], study: Study, k: int) -> list[Start]:
    """Held-out states in every iteration; training states in all but the last, of which nothing is learned."""
    settings = study.influence
    held_out = held_out_starts(families, settings.rollouts)
    if k == settings.iterations:
        return held_out
    return training_starts(families, settings.rollouts, iteration=k, seed=study.seed) + held_out


def _families(step: Step) -> dict[str, Family]:
    return families_of(step.read(tables.ENVIRONMENTS), step.read(tables.INITIAL_STATES))


def _environments(step: Step) -> Callable[[Conversation], Environment]:
    return environments_of(_families(step))


def environments_of(families: Mapping[str, Family]) -> Callable[[Conversation], Environment]:
    """A conversation's environment with its variables filled, each state's once."""
    states = {
        (environment, state.id): state
        for family in families.values()
        for environment, found in family.states.items()
        for state in found
    }
    known: dict[tuple[str, str], Environment] = {}

    def find(one: Conversation) -> Environment:
        key = (one.environment, one.initial_state_id)
        if key not in known:
            known[key] = filled(families[one.family].environments[one.environment], states[key])
        return known[key]

    return find


def _conversations(step: Step, k: int) -> list[Conversation]:
    return from_frame(Conversation, step.read(tables.CONVERSATIONS, iteration=k))


def _turns(step: Step, k: int) -> list[Turn]:
    return from_frame(Turn, step.read(tables.TURNS, iteration=k))


def _prompting(step: Step) -> Prompting:
    return Prompting(step.project.prompts / "influence")
