"""What every checkpoint is asked: a smaller steerability design and some trait items, so that scores pair.

Personas are chosen by place and splits are drawn by persona, so that the untouched model is asked a part of what
`steerability.responses` asks it, in the same words.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from influence_assets.features.items import load_items
from influence_assets.features.orders import option_orders
from influence_assets.features.study_design import held_out
from influence_assets.features.trait_questions import TraitQuestion, load_trait_prompt, trait_questions
from influence_assets.joint.settings import JointSettings
from influence_assets.steerability.method import SteeringMethod
from influence_assets.steerability.respond import Measurement
from influence_assets.steerability.study_design import measurement, people_of
from influence_assets.study import Study


def smaller_design(personas: pl.DataFrame, statements: pl.DataFrame, study: Study, prompts: Path) -> Measurement:
    """The measurement of `study.joint` over some of the personas; `prompts` is the steerability family's folder.

    Raises `InputError` when fewer than two of the chosen personas have enough statements.
    """
    chosen = evenly(personas["persona_id"].unique().sort().to_list(), study.joint.personas)
    who = people_of(personas.filter(pl.col("persona_id").is_in(chosen)), statements)
    settings = study.steerability.model_copy(update=_smaller(study.joint))
    whole = measurement(who, settings, seed=study.seed, prompts=prompts)
    # Reference points answer without a model, so that no training changes them.
    return replace(whole, methods=[method for method in whole.methods if isinstance(method, SteeringMethod)])


def smaller_item_set(data: Path, study: Study) -> tuple[tuple[str, ...], list[TraitQuestion]]:
    """The letters that answer, and the first held-out items of every trait in the study's orders.

    Raises as loading the items and their prompt does.
    """
    prompt = load_trait_prompt(data)
    items = load_items(data, study.features.trait_items, seed=study.seed)
    questions = trait_questions(prompt, items, option_orders(study.features.steering.orders))
    return prompt.options, held_out(questions, study.joint.items)


def evenly(ids: list[str], n: int) -> list[str]:
    """n of the ids at even distances, the first one first; all of them when there are no more than n."""
    places = np.unique(np.linspace(0, len(ids), min(n, len(ids)), endpoint=False).astype(int))
    return [ids[place] for place in places.tolist()]


def _smaller(joint: JointSettings) -> dict[str, object]:
    return {"methods": joint.methods, "test_per_persona": joint.test_per_persona, "repeats": 1, "pairs": None}
