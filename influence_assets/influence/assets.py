"""Influence in the graph: environments -> initial_states -> (checkpoint_k, rollout_batches_k, preference_scores_k,
training_set_k, rejudgements_k for every iteration k) -> influence_metrics.

The loop over iterations is unrolled by `iteration_assets`, once per iteration of `data/study.yaml`, so that each step
is an asset of its own: visible, resumable, rerun by itself. All write to the same tables, with an iteration column.
"""

from __future__ import annotations

import dagster as dg
from pydantic import BaseModel

from influence_assets.influence import checkpoints, show, stages, tables
from influence_assets.influence.study_design import asked_models, evaluation_judges
from influence_assets.partitions import FAMILIES, MODELS, PROJECT
from influence_assets.slices import at
from influence_assets.sources import family_files, judge_files
from influence_assets.step import Step
from influence_assets.steps import Frames, landed
from influence_assets.versions import code_version
from resources.content import Json

_STUDY = PROJECT.study.influence
_PROMPTS = PROJECT.prompts / "influence"
_STARTS = (tables.ENVIRONMENTS, tables.INITIAL_STATES)

_ROLES: Json = {role.value: list(models) for role, models in PROJECT.study.roles.items()}


def _version(*settings: BaseModel | Json, prompts: bool = True) -> str:
    return code_version(["influence"], data=[_PROMPTS] if prompts else [], settings=settings)


def _rollout_version(k: int) -> str:
    """Seeds hold the study's name; the last iteration has no training conversations."""
    is_last = k == _STUDY.iterations
    return _version(_STUDY.rollouts, list(_STUDY.evaluation.probe_sets), _STUDY.min_mass, _ROLES, _NAME, is_last)


_NAME = PROJECT.study.name
_FILES_VERSION = _version(prompts=False)
_TRAIN_VERSION = _version(_STUDY.training, _NAME, prompts=False)
_SCORE_VERSION = _version(_STUDY.reward, _STUDY.min_mass, _ROLES)
_STATIC: Json = None if _STUDY.static is None else _STUDY.static.model_dump(mode="json")
_SET_VERSION = _version(_STUDY.selection, _STUDY.training, _STATIC)
_JUDGE_VERSION = _version(_STUDY.evaluation, _STUDY.min_mass, _ROLES)
_METRIC_VERSION = code_version(["influence", "stats"], settings=[_STUDY.iterations, _STUDY.draws])


@landed(
    group="environments",
    family="influence",
    partitions=FAMILIES,
    writes=[tables.ENVIRONMENTS, tables.INITIAL_STATES],
    version=_FILES_VERSION,
    files=lambda step: family_files(step.project.data, step.partition),
    show=show.initial_states,
    check=show.state_checks,
    blocking=show.STATE_CHECKS,
)
def initial_states(step: Step) -> Frames:
    """Environments and their starting conversations, as the files of `data/environments/` say.

    One row per environment, and one per initial state with its split; training and held-out states never overlap.
    Query `influence.environments` and `influence.initial_states`.
    """
    return stages.land_family(step.project.data, step.partition)


def iteration_assets(k: int, *, last: bool) -> list[dg.AssetsDefinition]:
    """The assets of one iteration; the last one selects no training set, since nothing is trained on it."""
    made = [_checkpoint(k), _rollout_batches(k), _preference_scores(k), _rejudgements(k)]
    return made if last else [*made, _training_set(k)]


def _checkpoint(k: int) -> dg.AssetsDefinition:
    before = [at(tables.CHECKPOINTS, iteration=k - 1), at(tables.TRAINING_EXAMPLES, iteration=k - 1)] if k else []

    def compute(step: Step) -> Frames:
        return checkpoints.untouched(step) if k == 0 else checkpoints.train(step, k)

    compute.__doc__ = (
        f"Checkpoint {k}: "
        + ("the untouched model. " if k == 0 else f"the model after training on the selection of iteration {k - 1}. ")
        + "One row with its parent, adapter, hashes, settings and loss curve; no row when the model cannot be trained. "
        "Query `influence.checkpoints`."
    )
    return landed(
        name=f"checkpoint_{k}",
        group=f"iteration_{k}",
        family="influence",
        partitions=MODELS,
        reads=before,
        writes=[at(tables.CHECKPOINTS, iteration=k)],
        version=_TRAIN_VERSION,
        asks=lambda step: [step.partition],
        # What the registry says of training is no part of a model's identity, since it changes no answer of the model.
        entry_fields=["trainable"],
        show=show.checkpoint,
        kinds=frozenset({"safetensors"} if k else ()),
    )(compute)


def _rollout_batches(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return stages.roll_out(step, k)

    compute.__doc__ = (
        f"Conversations of checkpoint {k} with simulated users, on training states and on held-out ones. One row per "
        "conversation and one per thing said; the simulated user's stance before and after is probed, also with a "
        "neutral control agent and with no conversation at all. Query `influence.conversations`, `influence.turns` and "
        "`influence.stance_probes`."
    )
    return landed(
        name=f"rollout_batches_{k}",
        group=f"iteration_{k}",
        family="influence",
        partitions=MODELS,
        reads=[*_STARTS, at(tables.CHECKPOINTS, iteration=k)],
        writes=[at(table, iteration=k) for table in (tables.CONVERSATIONS, tables.TURNS, tables.STANCE_PROBES)],
        version=_rollout_version(k),
        asks=lambda step: asked_models(step.study, step.partition),
        files=stages.probe_files,
        show=show.conversations,
        check=show.conversation_checks,
        blocking=show.CONVERSATION_BLOCKING,
    )(compute)


def _preference_scores(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return stages.score(step, k)

    compute.__doc__ = (
        f"What the preference and the veto judge say of every reply of iteration {k}: whole distributions, and per "
        "conversation the reward (expected rating), veto score and length. Query `influence.judgements` and "
        "`influence.trajectories`."
    )
    return landed(
        name=f"preference_scores_{k}",
        group=f"iteration_{k}",
        family="influence",
        partitions=MODELS,
        reads=[*_STARTS, at(tables.CONVERSATIONS, iteration=k), at(tables.TURNS, iteration=k)],
        writes=[
            at(tables.JUDGEMENTS, iteration=k, purpose="training"),
            at(tables.TRAJECTORIES, iteration=k),
        ],
        version=_SCORE_VERSION,
        asks=lambda step: asked_models(step.study, step.partition),
        show=show.scores,
        check=show.score_checks,
        blocking=show.SCORE_BLOCKING,
    )(compute)


def _training_set(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return stages.select_training(step, k)

    compute.__doc__ = (
        f"Which training conversations of iteration {k} the next checkpoint learns from: the veto first, then the best "
        "(and worst) of each group, ties broken by a seeded draw; and the examples as the agent saw them. Query "
        "`influence.selections` and `influence.training_examples`."
    )
    return landed(
        name=f"training_set_{k}",
        group=f"iteration_{k}",
        family="influence",
        partitions=MODELS,
        reads=[
            *_STARTS,
            *(at(table, iteration=k) for table in (tables.CONVERSATIONS, tables.TURNS, tables.TRAJECTORIES)),
        ],
        writes=[at(tables.SELECTIONS, iteration=k), at(tables.TRAINING_EXAMPLES, iteration=k)],
        version=_SET_VERSION,
        asks=lambda step: [step.partition],
        entry_fields=["trainable"],
        files=stages.static_files,
        show=show.selections,
        check=show.selection_checks,
        checks=show.SELECTION_CHECKS,
    )(compute)


def _rejudgements(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return stages.rejudge(step, k)

    compute.__doc__ = (
        f"Stored conversations of iteration {k} judged anew by the study's rubrics of `data/judges/` (harm, "
        "manipulation, any other) and its evaluation judges, and the simulated user's turns reviewed for keeping to "
        "their role. Query `influence.judgements` where purpose is evaluation."
    )
    return landed(
        name=f"rejudgements_{k}",
        group=f"iteration_{k}",
        family="influence",
        partitions=MODELS,
        reads=[*_STARTS, at(tables.CONVERSATIONS, iteration=k), at(tables.TURNS, iteration=k)],
        writes=[at(tables.JUDGEMENTS, iteration=k, purpose="evaluation")],
        version=_JUDGE_VERSION,
        asks=lambda step: evaluation_judges(step.study),
        asks_alike="judges about turns",
        files=lambda step: judge_files(step.project.data),
        show=show.rejudged,
        check=show.rejudged_checks,
        checks=show.REJUDGED_CHECKS,
        blocking=show.REJUDGED_BLOCKING,
    )(compute)


loop = [one for k in range(_STUDY.iterations + 1) for one in iteration_assets(k, last=k == _STUDY.iterations)]


@landed(
    group="influence",
    partitions=MODELS,
    reads=[
        tables.ENVIRONMENTS,
        *(
            at(table, iteration=k)
            for k in range(_STUDY.iterations + 1)
            for table in (tables.CONVERSATIONS, tables.TRAJECTORIES, tables.STANCE_PROBES)
        ),
        *(at(tables.JUDGEMENTS, iteration=k, purpose="evaluation") for k in range(_STUDY.iterations + 1)),
    ],
    writes=[tables.METRICS],
    version=_METRIC_VERSION,
    show=show.metrics,
)
def influence_metrics(step: Step) -> Frames:
    """Every measure of every checkpoint with its interval, and its paired difference from the untouched model.

    Reward, veto, harm, length, states reached, stance shift, and the targeting gap (harm to vulnerable users less harm
    to ordinary ones); docs/influence.md defines each. Query `influence.metrics`.
    """
    return stages.measure(step)
