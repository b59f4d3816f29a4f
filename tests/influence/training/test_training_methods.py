"""What trl is given and what it does with it: tokens, masks, weights, the reference, the adapter that comes out."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from influence_assets.influence.training.balance import kto_weights
from influence_assets.influence.training.method_rows import Rows, mismatched, rows_of
from influence_assets.influence.training.spans import MASKED, Reply, Spans
from influence_assets.influence.training.trainer import Example, Method, TrainingJob, TrainingSettings
from resources.content import sha256_of_files
from resources.errors import InfluenceError, InputError
from tests.devices import needs_gpu
from tests.influence.training import chats
from tests.influence.training.conftest import a_job, conversations

if TYPE_CHECKING:
    from transformers import Trainer


def spans() -> Spans:
    tokenizer = chats.tokenizer(chats.CHATML)
    return Spans(tokenizer, frozenset({tokenizer.eos_token_id}))


def trained(job: TrainingJob, name: str = "adapter") -> Path:
    from influence_assets.influence.training.methods import train

    train(job, job.out / f"scratch {name}", job.out / name, lambda *_: None)
    return job.out / name


def made(job: TrainingJob) -> tuple[Trainer, Rows]:
    from influence_assets.influence.training import methods

    loaded = methods.load_base(job, on_gpu=False)
    rows = rows_of(job.examples, Spans(loaded.tokenizer, loaded.eos), job.settings, job.seed)
    return methods.make_trainer(job, loaded, rows, job.out / "scratch", on_gpu=False), rows


@functools.cache
def from_files(base: Path, adapter: Path | None) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return model if adapter is None else PeftModel.from_pretrained(model, adapter)


def log_probability(base: Path, adapter: Path | None, prompt: list[int], completion: list[int]) -> float:
    """log p(completion | prompt), straight from the model."""
    with torch.no_grad():
        logits = from_files(base, adapter)(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) + len(completion) - 1)
    return float(sum(logits[place, token] for place, token in zip(places, completion, strict=True)))


def test_what_trl_batches_is_what_the_spans_say(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path)
    trainer, _ = made(job)
    rows = {row.tokens: row.labels for example in job.examples for row in spans().rows(example)}
    seen = 0
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
            length = int(mask.sum())
            assert rows[tuple(ids[:length].tolist())] == tuple(labels[:length].tolist())
            assert bool((labels[length:] == MASKED).all())
            seen += 1
    assert seen == len(rows) == len(job.examples)


@pytest.mark.parametrize("method", [Method.KTO, Method.DPO])
def test_preference_trainers_learn_completions_after_their_prompts(base: Path, tmp_path: Path, method: Method) -> None:
    job = a_job(base, tmp_path, method)
    trainer, _ = made(job)
    expected = {reply.tokens: reply for example in job.examples for reply in spans().replies(example)}
    seen = set()
    for batch in trainer.get_train_dataloader():
        for ids, mask, learned in zip(
            batch["input_ids"], batch["attention_mask"], batch["completion_mask"], strict=True
        ):
            reply = expected[tuple(ids[: int(mask.sum())].tolist())]
            assert tuple(ids[learned.bool()].tolist()) == reply.completion
            seen.add(reply.tokens)
    assert seen == set(expected)


def test_the_loss_is_the_mean_over_learned_tokens(base: Path, tmp_path: Path) -> None:
    from influence_assets.influence.training.methods import train

    job = a_job(base, tmp_path, batch_size=64, epochs=1)
    curve = train(job, tmp_path / "scratch", tmp_path / "adapter", lambda *_: None).loss_curve
    replies = [reply for example in job.examples for reply in spans().replies(example)]
    total = sum(log_probability(base, None, list(reply.prompt), list(reply.completion)) for reply in replies)
    assert curve[0].loss == pytest.approx(-total / sum(len(reply.completion) for reply in replies), abs=1e-4)


def test_training_makes_the_learned_reply_likely(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path, epochs=30)
    adapter = trained(job)
    (reply,) = spans().replies(job.examples[3])
    before, after = (log_probability(base, a, list(reply.prompt), list(reply.completion)) for a in (None, adapter))
    assert before < -20
    assert after > -8  # as likely as this model's small output layer can make it


@needs_gpu
@pytest.mark.parametrize("method", Method)
def test_a_gpu_trains_the_adapter_that_the_cpu_trains(base: Path, tmp_path: Path, method: Method) -> None:
    from safetensors.torch import load_file

    found = {}
    for device, dtype in (("cpu", "float32"), ("cuda", "float32"), ("cuda", "auto")):
        adapter = trained(a_job(base, tmp_path, method, device=device, dtype=dtype), f"{device} {dtype}")
        weights = load_file(adapter / "adapter_model.safetensors")
        found[device, dtype] = torch.cat([weights[name].flatten().double() for name in sorted(weights)])
    cpu, gpu, bfloat16 = found.values()
    assert float((gpu - cpu).norm() / cpu.norm()) < 1e-3
    assert float(torch.cosine_similarity(bfloat16, cpu, dim=0)) > 0.9


@pytest.mark.parametrize("method", [Method.KTO, Method.DPO])
@pytest.mark.parametrize("start", ["previous", "fresh"])
@pytest.mark.parametrize("reference", ["base", "previous"])
def test_rewards_are_measured_against_the_reference_that_was_asked_for(
    base: Path, adapter: Path, tmp_path: Path, method: Method, start: str, reference: str
) -> None:
    job = a_job(base, tmp_path, method, start=start, reference=reference, batch_size=64, epochs=1, learning_rate=1e-9)
    job = dataclasses.replace(job, previous_adapter=str(adapter))
    trainer, rows = made(job)
    trainer.train()

    at = {"base": None, "previous": adapter, "fresh": None}
    chosen = [reply for example in job.examples if example.desirable for reply in spans().replies(example)]
    rewards = [
        log_probability(base, at[start], list(reply.prompt), list(reply.completion))
        - log_probability(base, at[reference], list(reply.prompt), list(reply.completion))
        for reply in chosen
    ]
    logged = next(entry for entry in trainer.state.log_history if "rewards/chosen" in entry)
    assert logged["rewards/chosen"] == pytest.approx(0.1 * sum(rewards) / len(rewards), abs=1e-4)
    assert (start == reference or {start, reference} == {"fresh", "base"}) == (abs(logged["rewards/chosen"]) < 1e-4)
    assert rows.n_desirable == len(chosen)


def test_the_reference_does_not_move(base: Path, adapter: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path, Method.KTO, start="previous", reference="previous")
    trainer, _ = made(dataclasses.replace(job, previous_adapter=str(adapter)))
    model = trainer.model
    assert model is not None
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer.train()
    moved = {name for name, value in model.named_parameters() if not torch.equal(before[name], value)}
    assert moved
    assert all(".default." in name for name in moved)
    assert any(".ref." in name for name in before)


def test_the_same_job_gives_the_same_bytes_and_another_seed_others(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path, Method.KTO)
    first, again = (sha256_of_files(trained(job, name).iterdir()) for name in ("a", "b"))
    other = sha256_of_files(trained(dataclasses.replace(job, seed=6), "c").iterdir())
    assert first == again != other


def test_only_the_adapters_files_are_left_and_no_path(base: Path, tmp_path: Path) -> None:
    adapter = trained(a_job(base, tmp_path))
    assert {path.name for path in adapter.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert str(tmp_path.parent.parent) not in (adapter / "adapter_config.json").read_text()


def test_a_previous_adapter_is_gone_on_from(base: Path, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    job = dataclasses.replace(a_job(base, tmp_path, learning_rate=1e-12), previous_adapter=str(adapter))
    found = load_file(trained(job) / "adapter_model.safetensors")
    started = load_file(adapter / "adapter_model.safetensors")
    assert found.keys() == started.keys()
    assert all(torch.allclose(found[name], started[name], atol=1e-6) for name in started)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora": {"rank": 8}}, "was trained with r = 4"),
        ({"lora": {"rank": 4, "alpha": 9}}, "was trained with lora_alpha = 8"),
        ({"start": "fresh", "lora": {"target_modules": ["nothing"]}}, "cannot put the adapter there"),
        ({"device": "cuda"}, "this machine has no GPU"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    base: Path, adapter: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    if settings.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    job = dataclasses.replace(a_job(base, tmp_path, **settings), previous_adapter=str(adapter))
    with pytest.raises(InputError, match=message):
        trained(job)


def test_a_loss_that_is_not_a_number_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InfluenceError, match=r"the loss is .* lower the learning rate"):
        trained(a_job(base, tmp_path, learning_rate=1e30, warmup=0, epochs=6, max_grad_norm=1e30))


@pytest.mark.parametrize(("good", "bad"), [(100, 50), (50, 100), (1, 1000), (1000, 1), (60, 60)])
def test_kto_weights_balance_the_counts(good: int, bad: int) -> None:
    weights = kto_weights(good, bad, TrainingSettings(method=Method.KTO))
    ratio = weights.desirable * good / (weights.undesirable * bad)
    assert ratio == pytest.approx(1.05)
    assert min(weights) == 1


def test_a_given_kto_weight_is_kept() -> None:
    settings = TrainingSettings(method=Method.KTO, undesirable_weight=2.0)
    assert kto_weights(10, 20, settings) == (pytest.approx(1.05 * 2 * 20 / 10), 2.0)
    assert kto_weights(10, 20, settings.model_copy(update={"desirable_weight": 7.0})) == (7.0, 2.0)


def test_kto_rows_pair_each_prompt_with_a_neighbours_completion() -> None:
    texts = [[i] for i in range(9)]
    shifted = mismatched(texts, 4)
    assert shifted == [[3], [0], [1], [2], [7], [4], [5], [6], [7]]


def settings(method: Method, **more: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"method": method, **more})


def test_rows_too_long_are_left_out_and_counted() -> None:
    long = Example("long", chats.said("hello " * 30, "yes"), (1,))
    examples = (*conversations(Method.EXPERT_ITERATION), long)
    rows = rows_of(examples, spans(), settings(Method.EXPERT_ITERATION, max_length=60), 0)
    assert (rows.n_rows, rows.n_too_long) == (12, 1)
    with pytest.raises(InputError, match="all 1 examples are longer"):
        rows_of((long,), spans(), settings(Method.EXPERT_ITERATION, max_length=60), 0)
    with pytest.raises(InputError, match="there are no examples"):
        rows_of((), spans(), settings(Method.EXPERT_ITERATION), 0)


def test_each_learned_turn_is_a_preference_row_of_its_own() -> None:
    example = Example("e", chats.said("hello", "good", "what?", "plan"), (1, 3), desirable=False)
    rows = rows_of((example,), spans(), settings(Method.KTO), 0)
    found = {
        Reply(tuple(p), tuple(c))
        for p, c in zip(*(rows.columns[k] for k in ("prompt_ids", "completion_ids")), strict=True)
    }
    assert found == set(spans().replies(example))
    assert (rows.n_rows, rows.n_desirable, rows.n_undesirable) == (2, 0, 2)


def test_dpo_pairs_replies_to_one_prompt_and_counts_the_rest() -> None:
    good = Example("a", chats.said("hello", "good", "what?", "plan"), (1, 3), pair="p")
    bad = Example("b", chats.said("hello", "you", "what?", "plan"), (1, 3), desirable=False, pair="p")
    rows = rows_of((good, bad), spans(), settings(Method.DPO), 0)
    assert (rows.n_rows, rows.n_unpaired) == (1, 1)


A, B = (Example(name, chats.said("hello", name), (1,), desirable=name == "a", pair="p") for name in "ab")


@pytest.mark.parametrize(
    ("examples", "method", "message"),
    [
        ((A,), Method.DPO, "one half is missing"),
        ((A, dataclasses.replace(B, desirable=True)), Method.DPO, "two of a pair have one label"),
        ((A, dataclasses.replace(B, pair="")), Method.DPO, "an example has no pair"),
        ((A, dataclasses.replace(B, messages=chats.said("other", "b"))), Method.DPO, "differ before the learned"),
        ((A, A), Method.KTO, "two training examples have one id"),
        ((A, B), Method.EXPERT_ITERATION, r"\[b\]\.desirable"),
    ],
)
def test_examples_that_do_not_fit_the_method_are_named(
    examples: tuple[Example, ...], method: Method, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        rows_of(examples, spans(), settings(method), 0)


def test_kto_needs_both_labels(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path, Method.KTO)
    with pytest.raises(InputError, match="there are 12 desirable and 0 undesirable"):
        trained(dataclasses.replace(job, examples=tuple(dataclasses.replace(e, desirable=True) for e in job.examples)))
