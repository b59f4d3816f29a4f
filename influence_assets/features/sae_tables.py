"""The public tables `features.saes` and `features.sae_quality`, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from resources.tables import Column, Table

_SAE = Column("sae", "VARCHAR", "name of the SAE, unique for the model")
_LAYER = Column("layer", "INTEGER", "block whose output it reads, 0 the first")

SAES = Table(
    name="features.saes",
    comment="One sparse autoencoder of a model: where it comes from and what it reads. Trained on the untouched model.",
    columns=(
        Column("model", "VARCHAR", "name of the model in data/models.yaml"),
        _SAE,
        _LAYER,
        Column("hook", "VARCHAR", "name of the module whose output it reads, as its files say"),
        Column("architecture", "VARCHAR", "topk, batchtopk, matryoshka, jumprelu, standard, or a pretrained one's own"),
        Column("width", "INTEGER", "number of latents"),
        Column("d_in", "INTEGER", "width of the activations"),
        Column("k", "DOUBLE", "latents on per token as fixed in training; null where a penalty decides"),
        Column("source", "VARCHAR", "trained, directory or release"),
        Column("path", "VARCHAR", "directory relative to the project, or release/id"),
        Column("sha256", "VARCHAR", "names configuration and weights; null when it failed"),
        Column("tokens", "BIGINT", "tokens that it was trained on here; null when it was not"),
        Column("seed", "BIGINT", "seed of its training here; null when it was not"),
        Column("settings", "VARCHAR", "settings of its training as canonical JSON; empty when it was not trained here"),
        Column("status", "VARCHAR", "ok, or failed"),
        Column("detail", "VARCHAR", "what went wrong; empty when nothing did"),
    ),
    partition=("model",),
    key=("model", "sae"),
)

SAE_QUALITY = Table(
    name="features.sae_quality",
    comment="How well an SAE stands for the activations of one checkpoint, on held-out chats of the study.",
    columns=(
        Column("model", "VARCHAR", "name of the model in data/models.yaml"),
        Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
        _SAE,
        _LAYER,
        Column("explained_variance", "DOUBLE", "1 - unexplained share of variance over tokens; null without variance"),
        Column("l0", "DOUBLE", "latents on per token"),
        Column("dead_share", "DOUBLE", "share of latents that are on at no token of these chats"),
        Column("ce_base", "DOUBLE", "cross-entropy of the model as it is, in nats per scored token (replies, or all)"),
        Column("ce_sae", "DOUBLE", "cross-entropy with the SAE's reconstruction in place of the layer's output"),
        Column("ce_ablated", "DOUBLE", "cross-entropy with the layer's output set to zero, or its mean"),
        Column("ce_recovered", "DOUBLE", "(ablated - sae) / (ablated - base); null where ablation costs under .1 nat"),
        Column("n_tokens", "BIGINT", "tokens whose activations were read"),
        Column("status", "VARCHAR", "ok, ablation_costs_nothing, no_variance, or failed"),
    ),
    partition=("model", "iteration"),
    key=("model", "iteration", "sae"),
)


class SaeOrigin(StrEnum):
    """Trained by this project, or read from a directory or a release of the sae-lens registry."""

    TRAINED = "trained"
    DIRECTORY = "directory"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class SaeRow:
    """A row of `features.saes`."""

    model: str
    sae: str
    layer: int
    hook: str
    architecture: str
    width: int
    d_in: int
    k: float | None
    source: str
    path: str
    sha256: str | None
    tokens: int | None
    seed: int | None
    settings: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class SaeQualityRow:
    """A row of `features.sae_quality`."""

    model: str
    iteration: int
    sae: str
    layer: int
    explained_variance: float | None
    l0: float | None
    dead_share: float | None
    ce_base: float | None
    ce_sae: float | None
    ce_ablated: float | None
    ce_recovered: float | None
    n_tokens: int
    status: str


TABLES = (SAES, SAE_QUALITY)
