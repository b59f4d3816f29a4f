"""What the loop of the influence family would ask, before anything is asked.

Conversations that have landed are taken as they are, and so the judges' questions are exact. Those that are still to
be held are held with placeholders, in the worst case: nobody leaves before the turn limit, and everybody says as much
as he may. Replies after tool calls are not foreseen. Whether landed conversations would be held anew is not asked here:
they count as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import polars as pl

from influence_assets.influence import tables
from influence_assets.influence.checkpoints import untouched_row
from influence_assets.influence.environments import Environment
from influence_assets.influence.judging import Judges, judge_training
from influence_assets.influence.loading import Family, load_families
from influence_assets.influence.probe_sets import answer_probes, is_probe, load_probe_sets
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import Condition, Conversation, Turn
from influence_assets.influence.rejudging import rejudge
from influence_assets.influence.rollout import roll_out
from influence_assets.influence.rows_of import families_of
from influence_assets.influence.rubrics import load_rubrics
from influence_assets.influence.stages import by_rubrics_of, environments_of, starts_of
from influence_assets.influence.study_design import cast_of, evaluation_judges, player, training_settings
from influence_assets.notes import Notes
from influence_assets.project import Project
from influence_assets.rows import from_frame
from resources.estimate import Planned
from resources.messages import Request, Role

ROLLOUTS, SCORES, REJUDGEMENTS = "rollout_batches", "preference_scores", "rejudgements"
_CHARACTERS_PER_TOKEN = 4
_FAR = 1_000_000

Held = tuple[list[Conversation], list[Turn]]


def plan_influence(project: Project, assets: Collection[str], models: Sequence[str]) -> dict[str, list[Planned]]:
    """By asset: the questions of the selected assets of the loop, for these models.

    A later iteration is planned as if its checkpoint answered at the same length, and has no answers yet; a model that
    is not trained has no later iterations. What the rollouts ask the training judges is not counted a second time for
    the scores.
    """
    planned: dict[str, list[Planned]] = {}
    for k in range(project.study.influence.iterations + 1):
        names = {stage: f"{stage}_{k}" for stage in (ROLLOUTS, SCORES, REJUDGEMENTS)}
        if not any(name in assets for name in names.values()):
            continue
        for model in models:
            if k and training_settings(project.study, project.registry[model]) is None:
                continue
            for stage, plans in asyncio.run(_Iteration(project, model, k).plans(names[ROLLOUTS] in assets)).items():
                if names[stage] in assets:
                    planned.setdefault(names[stage], []).extend(plans)
    return planned


def unanswered(plan: Planned, k: int) -> Planned:
    """The question as one that no cache can know: of a checkpoint k that is not there yet."""
    return replace(plan, request=replace(plan.request, sample=_FAR * k + plan.request.sample))


class _Iteration:
    """One iteration of one model."""

    def __init__(self, project: Project, model: str, k: int) -> None:
        self._project, self._study, self._model, self._k = project, project.study, model, k
        self._settings = project.study.influence
        self._prompting = Prompting(project.prompts / "influence")
        self._families = load_families(project.data, self._settings.families)

    async def plans(self, with_rollouts: bool) -> dict[str, list[Planned]]:
        notes, held = Notes(_placeholder, says_nothing=True), self._landed()
        has_landed = bool(held[0])
        if has_landed:
            self._families = self._landed_families()
        else:
            held = await self._hold(notes)
        scores = [] if with_rollouts and not has_landed else await self._scores(*held)
        found = {ROLLOUTS: notes.planned, SCORES: scores, REJUDGEMENTS: await self._rejudgements(*held)}
        if has_landed or not self._k:
            return found
        # The checkpoint is not there yet, so that no answer of it can be in the cache.
        return {stage: [unanswered(one, self._k) for one in plans] for stage, plans in found.items()}

    def _landed(self) -> Held:
        read = self._project.warehouse.read
        here = {"model": self._model, "iteration": str(self._k)}
        conversations, turns = read(tables.CONVERSATIONS, here), read(tables.TURNS, here)
        return from_frame(Conversation, conversations), from_frame(Turn, turns)

    def _landed_families(self) -> dict[str, Family]:
        """What the landed conversations began from, which the files may no longer say."""
        read, names = self._project.warehouse.read, self._settings.families
        environments, states = (
            pl.concat([read(table, {"family": name}) for name in names])
            for table in (tables.ENVIRONMENTS, tables.INITIAL_STATES)
        )
        return families_of(environments, states)

    async def _hold(self, notes: Notes) -> Held:
        registry, study = self._project.registry, self._study
        cast, _ = cast_of(study, registry, self._model, untouched_row(self._model, study.seed))
        starts = starts_of(self._families, study, self._k)
        held = await roll_out(
            [replace(one, environment=_endless(one.environment)) for one in starts],
            notes,
            study=study.name,
            model=self._model,
            iteration=self._k,
            seed=study.seed,
            cast=cast,
            prompting=self._prompting,
            settings=self._settings.rollouts,
            min_mass=_HIGHER_THAN_NOTHING,
        )
        for probe_set in load_probe_sets(self._project.root, self._settings.evaluation.probe_sets):
            conversations, turns = await answer_probes(
                probe_set, notes, study=study.name, seed=study.seed, model=self._model, iteration=self._k
            )
            held.conversations.extend(conversations)
            held.turns.extend(turns)
        return held.conversations, held.turns

    async def _scores(self, conversations: Sequence[Conversation], turns: Sequence[Turn]) -> list[Planned]:
        notes, study = Notes(_placeholder), self._study
        await judge_training(
            [one for one in conversations if not is_probe(one) and one.condition == Condition.AGENT],
            turns,
            self._environments(),
            notes,
            judges=Judges(player(study, Role.PREFERENCE), player(study, Role.VETO)),
            prompting=self._prompting,
            reward=self._settings.reward,
            min_mass=self._settings.min_mass,
        )
        return notes.planned

    async def _rejudgements(self, conversations: Sequence[Conversation], turns: Sequence[Turn]) -> list[Planned]:
        notes = Notes(_placeholder)
        by_rubrics = by_rubrics_of(conversations, self._environments(), self._settings.evaluation)
        for names, some in by_rubrics.items():
            await rejudge(
                some,
                turns,
                notes,
                rubrics=load_rubrics(self._project.data / "judges", names),
                judges=evaluation_judges(self._study),
                prompting=self._prompting,
                min_mass=self._settings.min_mass,
            )
        return notes.planned

    def _environments(self) -> Callable[[Conversation], Environment]:
        return environments_of(self._families)


_HIGHER_THAN_NOTHING = 0.01


def _placeholder(request: Request) -> str:
    """As many characters as the longest reply usually has."""
    return "word " * (request.sampling.max_tokens * _CHARACTERS_PER_TOKEN // 5)


def _endless(environment: Environment) -> Environment:
    """The environment with a default that goes on wherever one does; prompts never name the default."""
    states = {}
    for name, state in environment.states.items():
        on = [answer for answer, to in state.transitions.items() if not environment.states[to].terminal]
        stays = [answer for answer in on if state.transitions[answer] == name]
        default = next(iter([*stays, *on]), state.default)
        states[name] = state.model_copy(update={"default": default})
    return environment.model_copy(update={"states": states})
