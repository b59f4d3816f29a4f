"""One training run in this process: base model, adapter, rows, trl's trainer, adapter files.

Imports torch, transformers, peft and trl (about five seconds): only the worker imports this module.

trl is handed tokens, never text: `spans.py` has decided what is learned, and trl's own way from messages to tokens
would double opening tokens, cut long rows, and follow marks that a message's author wrote.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from influence_assets.influence.training.balance import kto_weights
from influence_assets.influence.training.method_rows import Rows, rows_of
from influence_assets.influence.training.spans import Spans
from influence_assets.influence.training.trainer import LossPoint, Method, TrainingJob, TrainingSettings
from resources.asking import Progress
from resources.errors import InfluenceError, InputError, one_line
from resources.local.loading import Loaded, load
from resources.local.weights import check_weights
from resources.registry import ModelEntry, ProviderName

if TYPE_CHECKING:
    from transformers import Trainer

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_NOT_MEASURED = ("step", "epoch", "learning_rate")


@dataclass(frozen=True)
class Trained:
    """What one process made; the adapter lies in the directory that was asked for."""

    rows: Rows
    loss_curve: tuple[LossPoint, ...]
    metrics: Mapping[str, float]
    main_process: bool


def train(job: TrainingJob, scratch: Path, adapter: Path, on_progress: Progress) -> Trained:
    """Trains and writes the adapter's files to `adapter`; `scratch` is trl's to write in.

    Raises `InputError` for what cannot be trained on, `InfluenceError` when the loss is not finite.
    """
    set_seed(job.seed % 2**32)
    on_gpu = job.settings.device != "cpu" and torch.cuda.is_available()
    if job.settings.device == "cuda" and not on_gpu:
        raise InputError(
            "this machine has no GPU", field="settings.device", value=job.settings.device, fix="use auto or cpu"
        )
    loaded = load_base(job, on_gpu=on_gpu)
    rows = rows_of(job.examples, Spans(loaded.tokenizer, loaded.eos), job.settings, job.seed)
    trainer = make_trainer(job, loaded, rows, scratch, on_gpu=on_gpu)
    trainer.add_callback(_Steps(on_progress))
    trainer.train()
    curve, metrics = _losses(trainer.state.log_history)
    trainer.save_model(str(scratch))
    if trainer.accelerator.is_main_process:
        _keep_adapter(scratch, adapter, Path(job.base_model).name)
    return Trained(rows, curve, metrics, trainer.accelerator.is_main_process)


def load_base(job: TrainingJob, *, on_gpu: bool) -> Loaded:
    """The base model and its tokenizer, which has a padding token."""
    # On the CPU first: with several processes it is trl that knows which GPU is whose.
    dtype = ("bfloat16" if job.settings.dtype == "auto" else job.settings.dtype) if on_gpu else "float32"
    directory = Path(job.base_model)
    entry = ModelEntry(
        name=directory.name or "base", provider=ProviderName.LOCAL, model=str(directory), dtype=dtype, device="cpu"
    )
    check_weights(directory, entry)
    loaded = load(directory, entry)
    if loaded.tokenizer.pad_token_id is None:
        loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    return loaded


def make_trainer(job: TrainingJob, loaded: Loaded, rows: Rows, scratch: Path, *, on_gpu: bool) -> Trainer:
    """trl's trainer of the job's method, over tokens, with its policy and its reference in place."""
    settings, data = job.settings, Dataset.from_dict(rows.columns)
    common = _arguments(job, scratch, on_gpu)
    policy = _policy(job, loaded)
    given = {"model": policy, "train_dataset": data, "processing_class": loaded.tokenizer}
    if settings.method is Method.EXPERT_ITERATION:
        common |= {"dataset_kwargs": {"skip_prepare_dataset": True}, "packing": False}
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        return SFTTrainer(args=SFTConfig(**common), **given)
    # Dropout is off unless it is asked for: it would make policy and reference differ before the first step.
    common |= {"beta": settings.beta, "disable_dropout": settings.lora.dropout == 0}
    if settings.method is Method.KTO:
        weights = kto_weights(rows.n_desirable, rows.n_undesirable, settings)
        common |= {"desirable_weight": weights.desirable, "undesirable_weight": weights.undesirable}
        from trl.trainer.kto_config import KTOConfig
        from trl.trainer.kto_trainer import KTOTrainer

        trainer: Trainer = _over_tokens(KTOTrainer)(args=KTOConfig(**common), **given)
    else:
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer

        trainer = _over_tokens(DPOTrainer)(args=DPOConfig(**common), **given)
    _set_reference(policy, job)
    return trainer


def _over_tokens(trainer: type[Any]) -> type[Any]:
    def as_it_is(_self: object, dataset: Dataset, *_: object) -> Dataset:
        return dataset

    return type(trainer.__name__, (trainer,), {"_prepare_dataset": as_it_is})


def _arguments(job: TrainingJob, scratch: Path, on_gpu: bool) -> dict[str, Any]:
    settings = job.settings
    return {
        "output_dir": str(scratch),
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "max_length": None,  # rows that are too long were left out; none is cut
        "seed": job.seed % 2**32,
        "use_cpu": not on_gpu,
        "bf16": on_gpu and settings.dtype in ("auto", "bfloat16"),
        "fp16": on_gpu and settings.dtype == "float16",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": list(settings.report_to) or "none",
        "push_to_hub": False,
        "disable_tqdm": True,
    }


def _policy(job: TrainingJob, loaded: Loaded) -> PeftModel:
    """The base with the adapter that is trained: the previous one, or a fresh one that changes nothing yet."""
    lora = job.settings.lora
    if job.previous_adapter is None or job.settings.start == "fresh":
        targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
        )
        try:
            return get_peft_model(loaded.model, config)
        except ValueError as error:  # peft names the modules that it did not find
            problem = f"peft cannot put the adapter there: {one_line(str(error), 300)}"
            fix = "name linear layers of the model, or use all-linear"
            raise InputError(problem, field="settings.lora.target_modules", value=targets, fix=fix) from None
    _check_continues(Path(job.previous_adapter), job.settings)
    return PeftModel.from_pretrained(loaded.model, job.previous_adapter, is_trainable=True)


def _check_continues(adapter: Path, settings: TrainingSettings) -> None:
    found = json.loads((adapter / ADAPTER_FILES[0]).read_text())
    for key, wanted in (("r", settings.lora.rank), ("lora_alpha", settings.lora.alpha)):
        if found.get(key) != wanted:
            raise InputError(
                f"the previous adapter ({adapter}) was trained with {key} = {found.get(key)}",
                field="settings.lora." + ("rank" if key == "r" else "alpha"),
                value=wanted,
                fix="keep the previous adapter's value, or use start: fresh",
            )


def _set_reference(model: PeftModel, job: TrainingJob) -> None:
    """What the method compares with. trl reads the adapter named `ref` where there is one, and no adapter otherwise;
    it has made `ref` a copy of the policy as it starts."""
    previous = job.previous_adapter
    if job.settings.reference == "previous" and previous is not None:
        if job.settings.start == "previous":
            return
        model.delete_adapter("ref")
        model.load_adapter(previous, adapter_name="ref", is_trainable=False)
        model.set_adapter("default")
    else:
        model.delete_adapter("ref")


class _Steps(TrainerCallback):  # type: ignore[misc]  # mypy reads no transformers
    def __init__(self, on_progress: Callable[[int, int], None]) -> None:
        self._on_progress = on_progress

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        if state.is_world_process_zero:
            self._on_progress(state.global_step, state.max_steps)


def _losses(history: list[dict[str, float]]) -> tuple[tuple[LossPoint, ...], dict[str, float]]:
    steps = [entry for entry in history if "loss" in entry]
    curve = tuple(LossPoint(int(entry["step"]), float(entry["loss"])) for entry in steps)
    bad = next((point for point in curve if not math.isfinite(point.loss)), None)
    if bad is not None:
        raise InfluenceError(f"training failed: the loss is {bad.loss} at step {bad.step}; lower the learning rate")
    last = {name: value for entry in steps[-1:] for name, value in entry.items() if isinstance(value, int | float)}
    return curve, {
        name: float(value) for name, value in last.items() if math.isfinite(value) and name not in _NOT_MEASURED
    }


def _keep_adapter(scratch: Path, adapter: Path, base_name: str) -> None:
    """Only the adapter's two files, in one spelling: peft writes sets in any order, and a path of this machine."""
    config, weights = ADAPTER_FILES
    adapter.mkdir(parents=True)
    shutil.move(scratch / weights, adapter / weights)
    settings = json.loads((scratch / config).read_text())
    settings["base_model_name_or_path"] = base_name
    if isinstance(settings.get("target_modules"), list):
        settings["target_modules"] = sorted(settings["target_modules"])
    (adapter / config).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
