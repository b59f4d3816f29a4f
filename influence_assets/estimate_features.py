"""What the features family would ask, before anything is asked.

Biographies are planned in the worst case: every attempt fails its check. What looks into a model asks local models
alone, and how much depends on directions that are found on the way: it costs no money, and is named but not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from influence_assets.features.biographies import biographies
from influence_assets.features.keyword_sets import keyword_sets
from influence_assets.features.stimulus_stages import biographer_of
from influence_assets.features.study_design import long_term, study_factors
from influence_assets.notes import Notes
from influence_assets.project import Project
from resources.content import sha256_of
from resources.estimate import Planned
from resources.messages import Request

_WORDS = " ".join(["word"] * 150)
"""As many as the generator is asked for at most."""
_LOCAL = ("activations", "layer_choice", "steering_sweep", "side_effects")


def plan_biographies(project: Project, model: str) -> list[Planned]:
    """Every question behind the study's biographies, which are the same ones for all models."""
    settings, seed = project.study.features, project.study.seed
    factors = long_term(study_factors(project))
    if not settings.biographies or not factors:
        return []
    sets, notes = keyword_sets(factors, settings.biographies, seed), Notes(_biography)
    asyncio.run(biographies(sets, factors, biographer_of(project, model), notes))
    return notes.planned


def asked_of_local_models(assets: Collection[str]) -> list[str]:
    """The assets among these that ask the local model that they look into, in order."""
    return [asset for asset in assets if asset.rstrip("0123456789").rstrip("_") in _LOCAL]


def _biography(request: Request) -> str:
    """A placeholder of its own for every attempt: no two biographies are alike, and each is checked."""
    asked = [[message.role, message.content] for message in request.messages]
    return f"{sha256_of([asked, request.sample])[:8]} {_WORDS}"
