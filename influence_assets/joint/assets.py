"""Joint tables in the graph: checkpoint_probes_k for every iteration k -> checkpoint_profile, drift. Partition: model.

The probes are unrolled as the influence family's loop is: one asset per iteration of `data/study.yaml`, all writing to
the same tables.
"""

from __future__ import annotations

import dagster as dg

from influence_assets.features import tables as features
from influence_assets.influence import tables as influence
from influence_assets.joint import probe_stages, profile_stages, show, tables
from influence_assets.partitions import MODELS, PROJECT
from influence_assets.personas import tables as personas
from influence_assets.slices import Slice, at
from influence_assets.step import Step
from influence_assets.steps import Frames, about_traits, landed
from influence_assets.versions import code_version
from resources.tables import Table

_STUDY = PROJECT.study
_ITERATIONS = range(_STUDY.influence.iterations + 1)
_PROBE_VERSION = code_version(
    ["joint", "steerability", "features", "influence", "stats"],
    data=[PROJECT.prompts / family for family in ("steerability", "features", "influence")],
    settings=[
        _STUDY.joint,
        [list(_STUDY.steerability.n_steer), _STUDY.steerability.min_mass],
        [_STUDY.features.steering.orders.value, _STUDY.features.steering.neutral, _STUDY.features.min_mass],
        [_STUDY.features.pooling.value],
    ],
)
_PROFILE_VERSION = code_version(
    ["joint", "steerability", "features", "influence", "stats"],
    settings=[_STUDY.joint, _STUDY.influence.iterations, _STUDY.features.min_mass],
)
_PROBES = (tables.RESPONSES, tables.TRAIT_ANSWERS, tables.PROJECTIONS)
_CONVERSATIONS = (influence.CONVERSATIONS, influence.TRAJECTORIES, influence.STANCE_PROBES)
_GATHERED: list[Table | Slice] = [
    influence.ENVIRONMENTS,
    influence.METRICS,
    *(at(table, iteration=k) for k in _ITERATIONS for table in (*_PROBES, *_CONVERSATIONS)),
    *(at(influence.JUDGEMENTS, iteration=k, purpose="evaluation") for k in _ITERATIONS),
]


def _probes(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return probe_stages.probe(step, k)

    compute.__doc__ = (
        f"Checkpoint {k} asked what every checkpoint is asked: statements under a few steering methods, held-out trait "
        "items, and where its stream lies along the untouched model's trait directions while it reads its own replies "
        "and neutral texts. Query `joint.responses`, `joint.trait_answers` and `joint.projections`."
    )
    return landed(
        name=f"checkpoint_probes_{k}",
        group="joint",
        partitions=MODELS,
        reads=[
            personas.PERSONAS,
            personas.STATEMENTS,
            influence.ENVIRONMENTS,
            influence.INITIAL_STATES,
            *(at(table, iteration=k) for table in (influence.CHECKPOINTS, influence.CONVERSATIONS, influence.TURNS)),
            at(features.DIRECTIONS, iteration=0),
        ],
        writes=[at(table, iteration=k) for table in _PROBES],
        version=_PROBE_VERSION,
        asks=lambda step: [step.partition],
        asks_alike=about_traits(k),
        files=probe_stages.probe_files,
        show=lambda step: show.probes(step, k),
        check=lambda step: show.probe_checks(step, k),
        checks=show.PROBE_CHECKS,
        kinds=frozenset({"pytorch"}),
    )(compute)


probes = [_probes(k) for k in _ITERATIONS]


@landed(
    group="joint",
    partitions=MODELS,
    reads=_GATHERED,
    writes=[tables.CHECKPOINT_PROFILE],
    version=_PROFILE_VERSION,
    show=show.profile,
    check=show.profile_checks,
    checks=show.PROFILE_CHECKS,
)
def checkpoint_profile(step: Step) -> Frames:
    """Everything that is measured of every checkpoint, side by side, with 95 % intervals.

    How far it can be steered, its trait scores, its projections on trait directions, and its reward, harm, targeting
    gap and stance shift in held-out conversations. Query `joint.checkpoint_profile`.
    """
    return profile_stages.land_profile(step)


@landed(
    group="joint",
    partitions=MODELS,
    reads=_GATHERED,
    writes=[tables.DRIFT, tables.MOVES_WITH_HARM],
    version=_PROFILE_VERSION,
    show=show.drift,
    check=show.drift_checks,
    checks=show.DRIFT_CHECKS,
)
def drift(step: Step) -> Frames:
    """What training changed: paired differences of every measure from the untouched model, and what moves with harm.

    Pairs are the same personas, items, texts, or initial states and seeds; p values are adjusted over all rows of the
    model. A model that is not trained has no rows. Query `joint.drift`, `joint.moves_with_harm` and
    `drift_of('organism')`.
    """
    return profile_stages.land_drift(step)
