"""The public tables `features.directions` and `features.sae_feature_map`."""

from __future__ import annotations

from resources.tables import Column, Table

_PARTITION = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
)
_LAYER = Column("layer", "INTEGER", "decoder block whose output it lives in, from 0")
_CATEGORY = (
    Column("factor", "VARCHAR", "the factor, of data/backgrounds"),
    Column("category", "VARCHAR", "the category; of a trait, high is high minus low"),
)
_HELDOUT = (
    Column("ci_low", "DOUBLE", "lower end of its 95 % interval"),
    Column("ci_high", "DOUBLE", "upper end of its 95 % interval"),
    Column("n", "INTEGER", "held-out texts behind it, both sides"),
)

DIRECTIONS = Table(
    name="features.directions",
    comment="One row per unit vector in the residual stream: what it was found for, how, and where its file lies.",
    columns=(
        Column("direction_id", "VARCHAR", "hash of checkpoint, layer, category, method, index and SAE"),
        *_MODEL,
        _LAYER,
        Column("hook", "VARCHAR", "name of that block in the model"),
        *_CATEGORY,
        Column("method", "VARCHAR", "a file of features/directions, or imported; random and shuffled are controls"),
        Column("index", "INTEGER", "number within its series (random: 32, shuffled: 10); else 0"),
        Column("sae", "VARCHAR", "SAE that the method used; else empty"),
        Column("path", "VARCHAR", "its safetensors file, relative to the project"),
        Column("norm", "DOUBLE", "length before it was scaled to 1"),
        Column("scale", "DOUBLE", "mean length of the residual stream there; coefficient c adds c * scale * vector"),
        Column("sha256", "VARCHAR", "hash of the vector"),
        Column(
            "cosine_opposite",
            "DOUBLE",
            "cosine with the way from other factors' texts to the opposite category's, held out: below 0 for both of a "
            "pair when either leads away from the other, about 0 for controls; null without an opposite",
        ),
        Column(
            "cosine_poles",
            "DOUBLE",
            "cosine between the directions of the two opposites, each found against other factors' texts; what both "
            "share raises it; null without an opposite or for methods that cannot be asked",
        ),
        Column(
            "auroc_heldout", "DOUBLE", "P(held-out text of the category lies farther along than one of its contrast)"
        ),
        *_HELDOUT,
    ),
    partition=_PARTITION,
    key=("model", "iteration", "direction_id"),
)

SAE_FEATURE_MAP = Table(
    name="features.sae_feature_map",
    comment="The SAE latents that tell a category's texts best from the others of its factor, chosen on the selection "
    "half, tested on the held-out half.",
    columns=(
        *_MODEL,
        Column("sae", "VARCHAR", "name of the SAE in features.saes"),
        _LAYER,
        Column("feature_id", "INTEGER", "number of the latent in its SAE"),
        *_CATEGORY,
        Column("rank", "INTEGER", "place among the category's latents on the selection half, from 1"),
        Column("auroc", "DOUBLE", "AUROC against the other texts of the factor, selection half (optimistic)"),
        Column("mean_difference", "DOUBLE", "mean activation on the category's texts minus on the others, same half"),
        Column("auroc_heldout", "DOUBLE", "the same AUROC on the held-out half; quote this one"),
        *_HELDOUT,
        Column("selectivity", "DOUBLE", "auroc minus the latent's largest for any other category of any factor"),
        Column("output_score", "DOUBLE", "0 to 1: how much amplifying it brings up promoted_tokens; null if not asked"),
        Column("stability", "DOUBLE", "mean Jaccard overlap of the category's latents under resampling of its texts"),
        Column("explanation", "VARCHAR", "what an imported pattern file says it means; null where none does"),
        Column("top_texts", "VARCHAR[]", "text_ids that activate it most"),
        Column("top_activations", "DOUBLE[]", "its activation on each of them"),
        Column("promoted_tokens", "VARCHAR[]", "tokens that its decoder row raises most"),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "sae", "layer", "factor", "category", "feature_id"),
)

TABLES = (DIRECTIONS, SAE_FEATURE_MAP)
