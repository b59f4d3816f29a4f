"""An untrained SAE of sae-lens and the trainer around it, from our settings.

**Scale.** Activations are multiplied by one number, so that the mean of `|x - mean|^2` is the model's width, and the
decoder's bias starts at their mean. Then the reconstruction loss over the width is the unexplained share of variance,
and a learning rate or a sparsity coefficient means the same for every model and layer. The number is folded into the
weights at the end: the saved SAE reads raw activations. sae-lens's own choices fit less well: `layer_norm` and
`constant_norm_rescale` lose each token's norm and are refused by the auxiliary loss of the topk family,
`covariance_whitening` makes directions without variance as important as the others, `expected_average_only_in` counts
the mean as signal.

Imports torch and sae_lens (ten seconds): import this module inside functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import sae_lens
import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata, TrainingSAE, TrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer

from influence_assets.features.sae_settings import Architecture, SaeSettings
from resources.errors import InputError


@dataclass(frozen=True)
class Reads:
    """What an SAE reads: a model's width and name, and the module whose output it is."""

    model_name: str
    hook_name: str
    width: int


def build_trainer(
    settings: SaeSettings, reads: Reads, device: torch.device
) -> SAETrainer[TrainingSAE, TrainingSAEConfig]:
    """A trainer before its first step. Its weights depend on the seed alone; torch's own state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        sae = _sae(settings, reads)
    warmup, decay = round(settings.steps * settings.warmup), round(settings.steps * settings.decay)
    config = SAETrainerConfig(
        total_training_samples=settings.steps * settings.batch_size,
        train_batch_size_samples=settings.batch_size,
        lr=settings.learning_rate,
        lr_end=settings.learning_rate,
        lr_warm_up_steps=warmup if warmup > 1 else 0,
        lr_decay_steps=decay,
        device=str(device),
        dead_feature_window=settings.dead_steps,
    )
    return SAETrainer(config, sae.to(device), data_provider=iter(()))


def start_at_data(trainer: SAETrainer[TrainingSAE, TrainingSAEConfig], acts_N_D: torch.Tensor) -> None:
    """Set the scale and the decoder's bias from raw activations. Raises `InputError` when they do not vary."""
    mean_D = acts_N_D.mean(dim=0, dtype=torch.float64)
    parts = [acts_N_D[start : start + 4096] for start in range(0, len(acts_N_D), 4096)]  # doubles of all take memory
    spread = sum(float((part.double() - mean_D).square().sum()) for part in parts) / len(acts_N_D)
    if not math.isfinite(spread) or spread == 0.0:
        problem = "the activations of these chats do not vary" if spread == 0.0 else "the activations are not finite"
        raise InputError(problem, field="layer", fix="choose another layer, or look at the model and the chats")
    scale = math.sqrt(acts_N_D.shape[1] / spread)
    trainer.activation_scaler.scaling_factor = scale
    with torch.no_grad():
        trainer.sae.b_dec.copy_(mean_D * scale)


def finished(trainer: SAETrainer[TrainingSAE, TrainingSAEConfig]) -> TrainingSAE:
    """The trained SAE for raw activations, every decoder row of length 1 (topk's and its kin's when saved)."""
    sae = trainer.sae
    assert trainer.activation_scaler.scaling_factor is not None
    sae.fold_activation_norm_scaling_factor(trainer.activation_scaler.scaling_factor)
    if sae.cfg.architecture() in (Architecture.STANDARD, Architecture.JUMPRELU):
        sae.fold_W_dec_norm()
    trainer.set_final_sae_metadata()
    return sae.to("cpu")


def _sae(settings: SaeSettings, reads: Reads) -> TrainingSAE:
    metadata = SAEMetadata(
        model_name=reads.model_name,
        model_class_name="AutoModelForCausalLM",
        hook_name=reads.hook_name,
        layer=settings.layer,
        context_size=settings.context_size,
        prepend_bos=False,  # the chat template says how a chat begins
        seqpos_slice=(settings.skip_first, None),
    )
    shape = {"d_in": reads.width, "d_sae": settings.width, "metadata": metadata}
    warmup = round(settings.steps * settings.warmup)
    k = settings.k
    match settings.architecture:
        case Architecture.TOPK:
            return sae_lens.TopKTrainingSAE(sae_lens.TopKTrainingSAEConfig(**shape, k=int(k or 0)))
        case Architecture.BATCHTOPK:
            return sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(**shape, k=k))
        case Architecture.MATRYOSHKA:
            levels = list(settings.nested_widths)
            config = sae_lens.MatryoshkaBatchTopKTrainingSAEConfig(**shape, k=k, matryoshka_widths=levels)
            return sae_lens.MatryoshkaBatchTopKTrainingSAE(config)
        case Architecture.JUMPRELU:
            penalty = {"l0_coefficient": settings.l0, "l0_warm_up_steps": warmup}
            return sae_lens.JumpReLUTrainingSAE(sae_lens.JumpReLUTrainingSAEConfig(**shape, **penalty))
        case Architecture.STANDARD:
            penalty = {"l1_coefficient": settings.l1, "l1_warm_up_steps": warmup}
            return sae_lens.StandardTrainingSAE(sae_lens.StandardTrainingSAEConfig(**shape, **penalty))
