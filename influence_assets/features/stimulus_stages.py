"""Backgrounds and contrast texts as the assets call them."""

from __future__ import annotations

from influence_assets.features.background_texts import fixed_backgrounds
from influence_assets.features.biographies import Biographer, BiographyPrompts, biographies
from influence_assets.features.contrast import contrast_texts
from influence_assets.features.frames import load_frames
from influence_assets.features.keyword_sets import keyword_sets
from influence_assets.features.stimulus_tables import BACKGROUNDS, CONTRAST_TEXTS, Background
from influence_assets.features.study_design import factors_of, long_term
from influence_assets.influence.study_design import player
from influence_assets.project import Project
from influence_assets.rows import from_frame, to_frame
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.messages import Role


def biographer_of(project: Project, model: str) -> Biographer:
    """Who writes and who checks the study's biographies."""
    return Biographer(
        model=model,
        generator=player(project.study, Role.GENERATOR),
        judge=player(project.study, Role.FILTER_JUDGE),
        prompts=BiographyPrompts.load(project.prompts / "features"),
        seed=project.study.seed,
    )


def write_backgrounds(step: Step) -> Frames:
    """Fixed backgrounds and biographies of as many keyword sets as the study wants."""
    n, factors = step.study.features.biographies, long_term(factors_of(step))
    if not n or not factors:
        return {BACKGROUNDS: to_frame(BACKGROUNDS, [])}
    sets, frames = keyword_sets(factors, n, step.study.seed), step.project.prompts / "features" / "backgrounds.yaml"
    rows = fixed_backgrounds(sets, factors, load_frames(frames), model=step.partition)
    biographer = biographer_of(step.project, step.partition)
    rows += step.ask(lambda models: biographies(sets, factors, biographer, models, step.progress()))
    return {BACKGROUNDS: to_frame(BACKGROUNDS, rows)}


def write_contrast_texts(step: Step) -> Frames:
    """Contrast texts of every category of the study's factors."""
    frames = load_frames(step.project.prompts / "features" / "contrast.yaml")
    backgrounds = from_frame(Background, step.read(BACKGROUNDS))
    texts = contrast_texts(factors_of(step), frames, backgrounds, model=step.partition, seed=step.study.seed)
    return {CONTRAST_TEXTS: to_frame(CONTRAST_TEXTS, texts)}
