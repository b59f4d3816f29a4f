"""Features in the graph: backgrounds -> contrast_texts -> sae -> activations -> sae_feature_map -> directions ->
steering_sweep -> trait_scores, side_effects. Partition: model.

Texts and the SAE are made once per model. What looks into a checkpoint is made by `checkpoint_assets` once for every
iteration in `features.iterations` of `data/study.yaml`; the untouched model's bear plain names, those of iteration k
end in `_k`. A model whose inside cannot be seen lands no rows and says why.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from influence_assets.features import (
    direction_stages,
    map_stages,
    reading_stages,
    sae_stages,
    show,
    stimulus_stages,
    sweep_stages,
    tables,
)
from influence_assets.influence import tables as influence
from influence_assets.partitions import MODELS, PROJECT
from influence_assets.personas import tables as personas
from influence_assets.slices import Slice, at
from influence_assets.standing import Standing
from influence_assets.step import Step
from influence_assets.steps import Frames, about_traits, landed
from influence_assets.versions import code_version
from resources.messages import Role

_STUDY = PROJECT.study.features


def _version(*left_out: str) -> str:
    """Of the family's code and prompts, and of the study's settings less those that have no bearing."""
    settings = _STUDY.model_dump(mode="json", exclude=set(left_out))
    return code_version(["features", "stats"], data=[PROJECT.prompts / "features"], settings=[settings])


_TEXTS = _version("steering", "sae", "keep", "directions", "layers", "layer", "pooling", "iterations", "draws")
_READ = _version("steering", "keep", "directions", "iterations", "draws", "side_effects")
_TRIED = _version("keep", "directions", "side_effects", "draws", "iterations")
_ALL = _version("iterations")


def _files(standing: Standing) -> list[Path]:
    """What is read beside tables: the study's backgrounds, items, neutral texts and pattern file."""
    settings, data = standing.study.features, standing.project.data
    files = [data / "backgrounds" / f"{name}.yaml" for name in settings.backgrounds]
    for kind, names in (("trait_items", settings.trait_items), ("side_effects", settings.side_effects)):
        for name in names:
            files += sorted((data / kind / name).glob("*.yaml"))
            files += sorted((data / "imports" / kind / name).glob("*.yaml"))
    files.append(data / "neutral" / f"{settings.steering.neutral}.yaml")
    files += [standing.project.root / settings.patterns] if settings.patterns else []
    return [file for file in files if file.exists()]


def _checkpoint(k: int) -> list[Slice]:
    """The checkpoint's row, where there is one to be read."""
    return [at(influence.CHECKPOINTS, iteration=k)] if k else []


@landed(
    group="features",
    partitions=MODELS,
    writes=[tables.BACKGROUNDS],
    version=_TEXTS,
    asks=lambda step: [
        model
        for role in (Role.GENERATOR, Role.FILTER_JUDGE)
        for model in (step.study.roles.get(role, ()) if step.study.features.biographies else ())
    ],
    files=_files,
)
def backgrounds(step: Step) -> Frames:
    """Texts about a person with one category of every long-term factor: filled sentences, and biographies by the
    generator model that a judge checked against the categories.

    None unless `features.biographies` asks for them. Query `features.backgrounds`.
    """
    return stimulus_stages.write_backgrounds(step)


@landed(
    group="features",
    partitions=MODELS,
    reads=[tables.BACKGROUNDS],
    writes=[tables.CONTRAST_TEXTS],
    version=_TEXTS,
    files=_files,
    show=show.contrast_texts,
)
def contrast_texts(step: Step) -> Frames:
    """Many wordings of every category, one half to choose features and layers by, the other half to measure with.

    Held-out texts are new wordings: a sentence frame belongs to one half. Query `features.contrast_texts`.
    """
    return stimulus_stages.write_contrast_texts(step)


@landed(
    group="features",
    partitions=MODELS,
    reads=[
        tables.CONTRAST_TEXTS,
        personas.PERSONAS,
        personas.STATEMENTS,
        at(influence.TURNS, iteration=0),
    ],
    writes=[tables.SAES, tables.SAE_QUALITY],
    version=_READ,
    asks=lambda step: [step.partition],
    files=lambda standing: [*_files(standing), *sae_stages.named_files(standing)],
    entry_fields=["sae"],
    show=show.sae,
    check=show.sae_checks,
    checks=show.SAE_CHECKS,
    kinds=frozenset({"pytorch"}),
)
def sae(step: Step) -> Frames:
    """The model's sparse autoencoder: trained on the study's own chats, or the one that its entry names.

    Explained variance, latents per token, dead share and recovered cross-entropy are measured on chats that it never
    saw. A training that was killed goes on from its checkpoint. Query `features.saes` and `features.sae_quality`.
    """
    return sae_stages.make_sae(step)


def checkpoint_assets(k: int) -> list[dg.AssetsDefinition]:
    """Everything that looks into checkpoint k, in the order of the graph."""
    return [_activations(k), _layers(k), _feature_map(k), _directions(k), _sweep(k), _trait_scores(k), _side_effects(k)]


def _name(name: str, k: int) -> str:
    return f"{name}_{k}" if k else name


def _group(k: int) -> str:
    return f"features_{k}" if k else "features"


def _activations(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return reading_stages.keep_activations(step, k)

    compute.__doc__ = (
        f"The residual stream of checkpoint {k} on contrast texts, trait items and its own words, at every candidate "
        "layer and at the SAE's: files that are computed once and that everything below reads. Query "
        "`features.activations`."
    )
    return landed(
        name=_name("activations", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[tables.CONTRAST_TEXTS, tables.SAES, *_checkpoint(k)],
        writes=[at(tables.ACTIVATIONS, iteration=k)],
        version=_READ,
        asks=lambda step: [step.partition],
        files=_files,
        show=lambda step: show.why_none(step, k),
        kinds=frozenset({"pytorch"}),
    )(compute)


def _layers(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return reading_stages.choose_layer(step, k)

    compute.__doc__ = (
        f"How well each candidate layer of checkpoint {k} tells traits apart and how much steering there moves them, "
        "on the selection half; directions are taken at the layer that moves most. Query `features.layers`."
    )
    return landed(
        name=_name("layer_choice", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[at(tables.ACTIVATIONS, iteration=k), *_checkpoint(k)],
        writes=[at(tables.LAYERS, iteration=k)],
        version=_TRIED,
        asks=lambda step: [step.partition],
        files=_files,
        show=lambda step: show.layers(step, k),
        kinds=frozenset({"pytorch"}),
    )(compute)


def _feature_map(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return map_stages.map_features(step, k)

    compute.__doc__ = (
        f"Which SAE latents of checkpoint {k} carry which category: chosen on the selection half, AUROC with interval "
        "on the held-out half, selectivity, output score, stability, top texts. Query `features.sae_feature_map`."
    )
    return landed(
        name=_name("sae_feature_map", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[tables.CONTRAST_TEXTS, tables.SAES, at(tables.ACTIVATIONS, iteration=k), *_checkpoint(k)],
        writes=[at(tables.SAE_FEATURE_MAP, iteration=k)],
        version=_version("directions", "side_effects", "draws", "iterations"),
        asks=lambda step: [step.partition],
        files=_files,
        show=lambda step: show.feature_map(step, k),
        kinds=frozenset({"pytorch"}),
    )(compute)


def _directions(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return direction_stages.find_directions(step, k)

    compute.__doc__ = (
        f"One unit vector per category and method in checkpoint {k}, with its file, its AUROC on held-out texts, and "
        "how it lies to its opposite; 32 random ones and ten of shuffled labels per factor are the controls. Query "
        "`features.directions`."
    )
    return landed(
        name=_name("directions", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[
            tables.SAES,
            *(at(table, iteration=k) for table in (tables.ACTIVATIONS, tables.LAYERS, tables.SAE_FEATURE_MAP)),
            *_checkpoint(k),
        ],
        writes=[at(tables.DIRECTIONS, iteration=k)],
        version=_version("steering", "side_effects", "draws", "iterations"),
        asks=lambda step: [step.partition],
        files=lambda standing: [*_files(standing), *direction_stages.imported_files(standing.project.root)],
        show=lambda step: show.directions(step, k),
        check=lambda step: show.direction_checks(step, k),
        checks=show.DIRECTION_CHECKS,
    )(compute)


def _sweep(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return sweep_stages.sweep_steering(step, k)

    compute.__doc__ = (
        f"Checkpoint {k} steered along every direction with every coefficient, asked the held-out trait items: shifts "
        "with paired intervals, what they cost in KL, and every control beside them (random and shuffled directions, "
        "prompts, other traits). Query `features.dose_response`, `features.steering` and `features.trait_answers`."
    )
    return landed(
        name=_name("steering_sweep", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[at(tables.DIRECTIONS, iteration=k), *_checkpoint(k)],
        writes=[at(table, iteration=k) for table in (tables.STEERING, tables.DOSE_RESPONSE, tables.TRAIT_ANSWERS)],
        version=_version("keep", "side_effects", "iterations"),
        asks=lambda step: [step.partition],
        asks_alike=about_traits(k),
        files=_files,
        show=lambda step: show.steering(step, k),
        check=lambda step: show.steering_checks(step, k),
        checks=show.STEERING_CHECKS,
        kinds=frozenset({"pytorch"}),
    )(compute)


def _trait_scores(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return sweep_stages.score_traits(step, k)

    compute.__doc__ = (
        f"The traits of checkpoint {k} as trait tests measure them: P(high) with its interval, mass, consistency over "
        "the orders of options, unsteered and under every condition. Query `features.trait_scores`."
    )
    return landed(
        name=_name("trait_scores", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[at(tables.TRAIT_ANSWERS, iteration=k)],
        writes=[at(tables.TRAIT_SCORES, iteration=k)],
        version=_ALL,
        show=lambda step: show.trait_scores(step, k),
    )(compute)


def _side_effects(k: int) -> dg.AssetsDefinition:
    def compute(step: Step) -> Frames:
        return sweep_stages.measure_side_effects(step, k)

    compute.__doc__ = (
        f"What steering does to checkpoint {k} beside the trait: safe conduct, false answers, bias between attributes, "
        "each as a paired difference from the unsteered model. Query `features.side_effects`."
    )
    return landed(
        name=_name("side_effects", k),
        group=_group(k),
        family="features",
        partitions=MODELS,
        reads=[at(tables.DIRECTIONS, iteration=k), at(tables.DOSE_RESPONSE, iteration=k), *_checkpoint(k)],
        writes=[at(tables.SIDE_EFFECTS, iteration=k)],
        version=_ALL,
        asks=lambda step: [step.partition],
        files=_files,
        show=lambda step: show.side_effects(step, k),
    )(compute)


looked_into = [one for k in _STUDY.iterations for one in checkpoint_assets(k)]
