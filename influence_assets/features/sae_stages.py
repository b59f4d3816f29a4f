"""The SAE and its quality as the asset calls them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from influence_assets.features.backgrounds import Half
from influence_assets.features.chats import ChatPrompts, StudyChat, chat_rows, study_chats
from influence_assets.features.sae_tables import SAE_QUALITY, SAES, SaeOrigin, SaeQualityRow, SaeRow
from influence_assets.features.stimulus_tables import CONTRAST_TEXTS, ContrastText
from influence_assets.features.study_design import (
    checkpoint_of,
    items_of,
    no_rows,
    opened_checkpoint,
    weights_of,
    why_not,
)
from influence_assets.features.trait_questions import load_trait_prompt
from influence_assets.influence import tables as influence
from influence_assets.influence.records import Turn
from influence_assets.personas import tables as personas
from influence_assets.personas.records import Persona
from influence_assets.rows import from_frame, to_frame
from influence_assets.standing import Standing
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.content import canonical, sha256_of
from resources.prompts import load_prompt
from resources.registry import SaeSource

if TYPE_CHECKING:
    from influence_assets.features.sae import Sae
    from influence_assets.features.sae_text import ChatTokens
    from resources.local.opened import OpenModel

SAE_FOLDER = Path("data") / "features" / "saes"


def has_sae(step: Step) -> bool:
    """Whether the study trains an SAE or the model's entry names one."""
    return step.study.features.sae is not None or step.project.registry[step.partition].sae is not None


def named_files(standing: Standing) -> list[Path]:
    """The files of the SAE whose directory the model's entry names."""
    named = standing.project.registry[standing.partition].sae
    if named is None or named.directory is None:
        return []
    return sorted(path for path in (standing.project.root / named.directory).glob("*") if path.is_file())


def make_sae(step: Step) -> Frames:
    """The model's SAE, loaded or trained, and its quality on held-out chats."""
    if why_not(step, 0) or not has_sae(step):
        return no_rows(step, SAES, SAE_QUALITY)
    from influence_assets.features.sae_quality import sae_quality

    checkpoint, settings = checkpoint_of(step, 0), step.study.features.sae
    chats = _chats(step)
    with opened_checkpoint(step, checkpoint) as model:
        context, skip = (settings.context_size, settings.skip_first) if settings else (1024, 1)
        kept = chat_rows(model, [chat for chat in chats if not chat.held_out], context=context, skip_first=skip)
        heldout = chat_rows(model, [chat for chat in chats if chat.held_out], context=context, skip_first=skip)
        named = step.project.registry[step.partition].sae
        row = _trained(step, model, kept) if named is None else _loaded(step, model, named)
        quality = sae_quality(model.model, open_sae(step, row, model), heldout)
    return {
        SAES: to_frame(SAES, [row]),
        SAE_QUALITY: to_frame(
            SAE_QUALITY,
            [
                SaeQualityRow(
                    model=step.partition,
                    iteration=0,
                    sae=row.sae,
                    layer=row.layer,
                    explained_variance=quality.explained_variance,
                    l0=quality.l0,
                    dead_share=quality.dead_share,
                    ce_base=quality.ce_base,
                    ce_sae=quality.ce_sae,
                    ce_ablated=quality.ce_ablated,
                    ce_recovered=quality.ce_recovered,
                    n_tokens=quality.n_tokens,
                    status=quality.status.value,
                )
            ],
        ),
    }


def open_sae(step: Step, row: SaeRow, model: OpenModel) -> Sae:
    """The SAE of a row, in memory."""
    from influence_assets.features.sae_loading import load_sae

    if row.source == SaeOrigin.RELEASE.value:
        # A release may be a repository of the hub, with a slash of its own: the path alone does not tell the two parts.
        return load_sae(step.project.registry[step.partition].sae or SaeSource(), step.project.root, model.model)
    return load_sae(SaeSource(directory=row.path), step.project.root, model.model, row.layer)


def _chats(step: Step) -> list[StudyChat]:
    prompts = step.project.prompts / "steerability"
    texts = from_frame(ContrastText, step.read(CONTRAST_TEXTS))
    return study_chats(
        ChatPrompts(
            load_trait_prompt(step.project.data),
            load_prompt(prompts / "question.yaml"),
            load_prompt(prompts / "methods.yaml"),
        ),
        turns=from_frame(Turn, step.read(influence.TURNS, iteration=0)),
        personas=from_frame(Persona, step.read(personas.PERSONAS)),
        statements=step.read(personas.STATEMENTS)["text"].unique(maintain_order=True).to_list(),
        items=items_of(step),
        texts=[text.text for text in texts if text.half == Half.SELECTION.value],
    )


def _trained(step: Step, model: OpenModel, chats: ChatTokens) -> SaeRow:
    from influence_assets.features.sae_training import SaeJob, train_sae

    settings = step.study.features.sae
    assert settings is not None, "an SAE is trained only where the study says how"
    weights = sha256_of(weights_of(step, checkpoint_of(step, 0), None))
    name = f"{settings.architecture.value}-{settings.width}-layer{settings.layer}"
    folder = SAE_FOLDER / sha256_of([weights, chats.sha256, settings.model_dump(mode="json")])[:24]
    job = SaeJob(step.partition, weights, chats, settings, step.project.root / folder)
    trained = train_sae(model.model, job, step.progress("training steps"))
    sae = open_sae(step, _row(step, name, SaeOrigin.TRAINED, str(folder), settings.layer), model)
    return _row(
        step,
        name,
        SaeOrigin.TRAINED,
        str(folder),
        settings.layer,
        sae=sae,
        sha256=trained.sha256,
        architecture=settings.architecture.value,
        tokens=settings.steps * settings.batch_size,
        seed=settings.seed,
        settings=canonical(settings.model_dump(mode="json")).decode(),
    )


def _loaded(step: Step, model: OpenModel, named: SaeSource) -> SaeRow:
    from influence_assets.features.sae_loading import load_sae

    sae = load_sae(named, step.project.root, model.model)
    origin = SaeOrigin.DIRECTORY if named.directory else SaeOrigin.RELEASE
    path = named.directory or f"{named.release}/{named.id}"
    return _row(step, path, origin, path, sae.layer, sae=sae, sha256=sae.sha256)


def _row(
    step: Step,
    name: str,
    origin: SaeOrigin,
    path: str,
    layer: int,
    *,
    sae: Sae | None = None,
    sha256: str | None = None,
    architecture: str = "",
    tokens: int | None = None,
    seed: int | None = None,
    settings: str = "",
) -> SaeRow:
    return SaeRow(
        model=step.partition,
        sae=name,
        layer=layer,
        hook=sae.hook if sae else "",
        architecture=architecture or (sae.architecture if sae else ""),
        width=sae.width if sae else 0,
        d_in=sae.d_in if sae else 0,
        k=sae.k if sae else None,
        source=origin.value,
        path=path,
        sha256=sha256,
        tokens=tokens,
        seed=seed,
        settings=settings,
        status="ok",
        detail="",
    )
