"""Trains a sparse autoencoder on a local model's block output with sae-lens; a killed training goes on where it was.

Activations come from our own stream and not from sae-lens's `ActivationsStore`: so chats stay whole, LoRA checkpoints
and every architecture that `blocks.py` knows work, nothing is downloaded, and any step can be found again. sae-lens's
`SAETrainer` does each step; nothing is sent to wandb.

A job's directory:
    cfg.json, sae_weights.safetensors   the SAE in sae-lens's format; there when training.json is
    training.json                       which job it was and its losses; written last, so that it means finished
    checkpoints/step-N/                 weights, optimizer, losses after N steps; the newest alone is kept
    checkpoints/job                     which job is under way

The same job gives the same bits on one machine with the same number of threads (CPU), interrupted or not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from influence_assets.features.sae_settings import SaeSettings
from influence_assets.features.sae_text import ChatTokens
from resources.asking import Progress
from resources.content import sha256_of, sha256_of_files
from resources.durable import alone, move, sync, write_whole
from resources.errors import InputError

if TYPE_CHECKING:
    import torch
    from sae_lens.saes.sae import TrainingSAE, TrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer
    from transformers import PreTrainedModel

    Trainer: TypeAlias = SAETrainer[TrainingSAE, TrainingSAEConfig]

CONFIG_FILE, WEIGHTS_FILE, LOG_FILE = "cfg.json", "sae_weights.safetensors", "training.json"
LOGGED_STEPS = 200


@dataclass(frozen=True)
class SaeJob:
    """One training run. `model_sha256` names the weights, LoRA checkpoint included. `out` belongs to the job alone."""

    model_name: str
    model_sha256: str
    chats: ChatTokens
    settings: SaeSettings
    out: Path

    @property
    def sha256(self) -> str:
        """Names everything that the result depends on; where it lies and when checkpoints are made is no part of it."""
        settings = self.settings.model_dump(mode="json", exclude={"checkpoint_every"})
        return sha256_of(
            {
                "model": self.model_name,
                "weights": self.model_sha256,
                "chats": self.chats.sha256,
                "settings": settings,
            }
        )


class LossPoint(BaseModel):
    """One step, counted from 1: the whole loss, the unexplained share of the batch's variance, latents on per token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    loss: float
    unexplained: float
    l0: float


class TrainingLog(BaseModel):
    """`training.json`: which job was done, and how its losses fell (about 200 of its steps)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job_sha256: str
    steps: int
    losses: tuple[LossPoint, ...]


@dataclass(frozen=True)
class TrainedSae:
    """A finished job: a directory that `SAE.load_from_disk` reads, and the hash of the two files in it."""

    directory: Path
    sha256: str
    log: TrainingLog


def train_sae(model: PreTrainedModel, job: SaeJob, on_progress: Progress | None = None) -> TrainedSae:
    """Train, or finish what an earlier call began; a finished job is not run again.

    `on_progress(step, steps)` is called after each step. Raises `InputError` for a layer that the model lacks, chats
    that make no batch, activations that do not vary, or a directory that holds another job.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    with alone(job.out / "lock") as held:
        if not held:
            raise InputError("another process trains in it", place=job.out, fix="wait for it, or end it")
        log = _finished_log(job) or _train(model, job, on_progress or (lambda _done, _total: None))
    files = [job.out / CONFIG_FILE, job.out / WEIGHTS_FILE]
    return TrainedSae(job.out, sha256_of_files(files), log)


def _finished_log(job: SaeJob) -> TrainingLog | None:
    path, under_way = job.out / LOG_FILE, _checkpoints(job) / "job"
    if under_way.exists() and under_way.read_text() != job.sha256:
        raise _other_job(under_way)
    if not path.exists():
        return None
    try:
        log = TrainingLog.model_validate_json(path.read_bytes())
    except ValidationError:
        raise _other_job(path) from None
    if log.job_sha256 != job.sha256:
        raise _other_job(path)
    return log


def _other_job(place: Path) -> InputError:
    problem = "the directory belongs to another model, other chats or other settings"
    return InputError(problem, place=place, fix="give each training a directory of its own, or remove this one")


def _checkpoints(job: SaeJob) -> Path:
    return job.out / "checkpoints"


def _train(model: PreTrainedModel, job: SaeJob, on_progress: Progress) -> TrainingLog:
    from influence_assets.features.sae_activations import ActivationStream
    from influence_assets.features.sae_building import Reads, build_trainer, start_at_data
    from resources.local.blocks import block_at

    settings = job.settings
    block = block_at(model, settings.layer)
    stream = ActivationStream(
        model,
        settings.layer,
        job.chats,
        batch_size=settings.batch_size,
        buffer_mb=settings.buffer_mb,
        seed=settings.seed,
    )
    width = int(model.config.get_text_config().hidden_size)
    trainer = build_trainer(settings, Reads(job.model_name, block.name, width), model.device)
    _checkpoints(job).mkdir(parents=True, exist_ok=True)
    write_whole(_checkpoints(job) / "job", job.sha256.encode(), _checkpoints(job))
    losses = _resumed(trainer, job)
    if losses is None:
        losses = []
        start_at_data(trainer, stream.first())
    _steps(trainer, stream.batches(trainer.n_training_steps), job, losses, on_progress)
    return _finish(trainer, job, losses)


def _steps(
    trainer: Trainer, batches: Iterator[torch.Tensor], job: SaeJob, losses: list[LossPoint], on_progress: Progress
) -> None:
    steps, every = job.settings.steps, job.settings.checkpoint_every
    log_every = max(1, steps // LOGGED_STEPS)
    while trainer.n_training_steps < steps:
        output = trainer.step(next(batches))
        trainer.n_training_steps += 1
        done = trainer.n_training_steps
        if done % log_every == 0 or done == steps:
            on_share = (output.feature_acts > 0).float().mean()
            losses.append(
                LossPoint(
                    step=done,
                    loss=output.loss.item(),
                    unexplained=output.losses["mse_loss"].item() / trainer.sae.cfg.d_in,
                    l0=on_share.item() * trainer.sae.cfg.d_sae,
                )
            )
        if every and done % every == 0 and done < steps:
            _save_checkpoint(trainer, job, losses)
        on_progress(done, steps)


def _save_checkpoint(trainer: Trainer, job: SaeJob, losses: list[LossPoint]) -> None:
    folder = _checkpoints(job)
    target = folder / f"step-{trainer.n_training_steps}"
    part = _fresh(folder / "part")
    trainer.sae.save_model(part)
    trainer.save_trainer_state(part)
    log = TrainingLog(job_sha256=job.sha256, steps=trainer.n_training_steps, losses=tuple(losses))
    (part / LOG_FILE).write_text(log.model_dump_json())
    for file in part.iterdir():
        sync(file)
    move(part, target)
    for older in folder.glob("step-*"):
        if older != target:
            shutil.rmtree(older)


def _resumed(trainer: Trainer, job: SaeJob) -> list[LossPoint] | None:
    """Puts the newest checkpoint into the trainer and returns its losses; None where there is none.

    The order of the data is a function of seed and step, and sae-lens draws nothing at random after the weights: so
    weights, optimizer and step are all there is to remember.
    """
    found = sorted(_checkpoints(job).glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    if not found:
        return None
    trainer.sae.load_weights_from_checkpoint(found[-1])
    trainer.load_trainer_state(found[-1])
    return list(TrainingLog.model_validate_json((found[-1] / LOG_FILE).read_bytes()).losses)


def _finish(trainer: Trainer, job: SaeJob, losses: list[LossPoint]) -> TrainingLog:
    from influence_assets.features.sae_building import finished

    part = _fresh(_checkpoints(job) / "part")
    finished(trainer).save_inference_model(part)
    # sae-lens writes the fields in another order in every process.
    config = json.loads((part / CONFIG_FILE).read_text())
    (part / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True))
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        sync(part / name)
        move(part / name, job.out / name)
    log = TrainingLog(job_sha256=job.sha256, steps=trainer.n_training_steps, losses=tuple(losses))
    write_whole(job.out / LOG_FILE, log.model_dump_json(indent=1).encode(), _checkpoints(job))
    shutil.rmtree(_checkpoints(job))
    return log


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
