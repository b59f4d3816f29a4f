"""Training through sae-lens: repeatable, resumable after a kill, and sound for activations of any size."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from influence_assets.features.sae_activations import ActivationStream, block_output, chat_activations
from influence_assets.features.sae_loading import load_sae
from influence_assets.features.sae_settings import Architecture
from influence_assets.features.sae_text import chat_tokens, padded_batches
from influence_assets.features.sae_training import train_sae
from resources.errors import InputError
from resources.registry import SaeSource
from tests.devices import needs_gpu
from tests.features.sae_cases import WIDTH, tiny_chats, tiny_gpt2, tiny_job, tiny_model
from tests.forked import CHECKOUT, interpreter
from tests.scale import scaled

SPARSE = {
    Architecture.TOPK: {"k": 4},
    Architecture.BATCHTOPK: {"k": 4},
    Architecture.MATRYOSHKA: {"k": 4},
    Architecture.JUMPRELU: {"k": None, "l0": 0.1},
    Architecture.STANDARD: {"k": None, "l1": 0.3},
}


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny_model()


def test_activations_are_the_blocks_outputs_without_padding(model: PreTrainedModel) -> None:
    chats = tiny_chats()
    acts_N_D = chat_activations(model, 1, chats)
    alone = [
        model(torch.tensor([row]), output_hidden_states=True).hidden_states[2][0, 1:].detach() for row in chats.rows
    ]
    torch.testing.assert_close(acts_N_D, torch.cat(alone), rtol=1e-4, atol=1e-5)
    (batch,) = padded_batches(chat_tokens([[1, 2, 3]], 8), torch.tensor([0]).numpy())
    ran: list[int] = []
    handle = model.model.layers[2].register_forward_hook(lambda *_: ran.append(2))
    block_output(model, 1, batch)
    handle.remove()
    assert ran == [], "blocks behind the one that is read do not run"


def test_a_stream_can_be_entered_at_any_step(model: PreTrainedModel) -> None:
    def stream(buffer_tokens: int) -> ActivationStream:
        made = ActivationStream(model, 1, tiny_chats(), batch_size=8, buffer_mb=1, seed=3)
        made._buffer_tokens = buffer_tokens
        return made

    for buffer_tokens in (64, 10_000):
        begun = stream(buffer_tokens).batches()
        whole = [next(begun) for _ in range(90)]
        for step in (0, 7, 50, 89):
            assert torch.equal(next(stream(buffer_tokens).batches(step)), whole[step])
    assert not torch.equal(whole[0], whole[40])


@pytest.mark.parametrize("architecture", Architecture)
def test_each_architecture_learns_repeatably_and_loads_in_sae_lens(
    model: PreTrainedModel, tmp_path: Path, architecture: Architecture
) -> None:
    from sae_lens import SAE

    settings = {"architecture": architecture, "tokens": 6400, **SPARSE[architecture]}
    seen: list[tuple[int, int]] = []
    first = train_sae(model, tiny_job(tmp_path / "a", **settings), lambda done, total: seen.append((done, total)))
    assert seen == [(step, 200) for step in range(1, 201)]
    losses = first.log.losses
    assert [point.step for point in losses] == list(range(1, 201))
    assert losses[-1].unexplained < 0.6 * losses[0].unexplained
    torch.rand(3)  # the state of torch's own generator is no part of the job
    assert train_sae(model, tiny_job(tmp_path / "b", **settings)).sha256 == first.sha256
    assert train_sae(model, tiny_job(tmp_path / "c", **settings, seed=1)).sha256 != first.sha256
    config = json.loads((first.directory / "cfg.json").read_text())
    assert list(config) == sorted(config), "in one order, which sae-lens's own is not from process to process"

    theirs = SAE.load_from_disk(first.directory)
    ours = load_sae(SaeSource(directory=str(first.directory)), tmp_path, model)
    assert (ours.layer, ours.width, ours.d_in, ours.architecture) == (1, 24, WIDTH, architecture)
    assert (ours.sha256, ours.k) == (first.sha256, SPARSE[architecture]["k"])
    acts_N_D = chat_activations(model, 1, tiny_chats(5))
    latents_N_F = ours.encode(acts_N_D)
    assert torch.equal(latents_N_F, theirs.encode(acts_N_D))
    assert torch.equal(ours.decode(latents_N_F), theirs.decode(latents_N_F))
    assert torch.equal(ours.decoder_F_D, theirs.W_dec)
    torch.testing.assert_close(ours.decoder_F_D.norm(dim=1), torch.ones(24))


@needs_gpu
@pytest.mark.parametrize("architecture", Architecture)
def test_a_gpu_trains_as_good_an_sae(tmp_path: Path, architecture: Architecture) -> None:
    settings = {"architecture": architecture, "tokens": 6400, **SPARSE[architecture]}
    ends = []
    for device in ("cpu", "cuda"):
        model = tiny_model().to(device)
        done = train_sae(model, tiny_job(tmp_path / device, **settings))
        ends.append([(point.unexplained, point.l0) for point in done.log.losses])
        assert load_sae(SaeSource(directory=str(done.directory)), tmp_path, model).decoder_F_D.device.type == device
    on_cpu, on_gpu = (torch.tensor(end) for end in ends)
    torch.testing.assert_close(on_gpu[0], on_cpu[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(on_gpu[-20:].mean(dim=0), on_cpu[-20:].mean(dim=0), rtol=0.1, atol=0.02)


def test_another_architecture_trains_and_loads_in_sae_lens(tmp_path: Path) -> None:
    from sae_lens import SAE

    model = tiny_gpt2()
    trained = train_sae(model, tiny_job(tmp_path, architecture="jumprelu", k=None, l0=0.1))
    sae = load_sae(SaeSource(directory=str(trained.directory)), tmp_path, model, layer=1)
    assert (sae.hook, sae.layer) == ("transformer.h.1", 1)
    metadata = SAE.load_from_disk(trained.directory).cfg.metadata
    assert (metadata.hook_name, metadata.model_class_name) == ("transformer.h.1", "AutoModelForCausalLM")
    assert metadata.seqpos_slice == [1, None]


def test_the_size_of_activations_changes_nothing_but_the_size(tmp_path: Path) -> None:
    # Whatever is written to the stream is 1024 times as large; what reads it is normalised.
    model = tiny_model()
    large = tiny_model()
    with torch.no_grad():
        large.model.embed_tokens.weight *= 1024.0
        for block in large.model.layers[:2]:
            block.self_attn.o_proj.weight *= 1024.0
            block.mlp.down_proj.weight *= 1024.0
    small = train_sae(model, tiny_job(tmp_path / "small")).log.losses
    for point, other in zip(small, train_sae(large, tiny_job(tmp_path / "large")).log.losses, strict=True):
        assert other.unexplained == pytest.approx(point.unexplained, rel=0.02)


@pytest.mark.parametrize("step", [11, 1, 3, 4, 8, 12, 15, 16, 18, 19][: scaled(1, 10)])
def test_a_killed_training_ends_with_the_same_weights(
    model: PreTrainedModel, tmp_path: Path, step: int, record_property: Callable[[str, object], None]
) -> None:
    whole = train_sae(model, tiny_job(tmp_path / "whole", architecture="batchtopk"))
    killed = tmp_path / "killed"
    command = [str(interpreter()), "-m", "tests.features.killed_sae_training", str(killed), str(step)]
    ended = subprocess.run(command, cwd=CHECKOUT, check=False, timeout=250)
    assert ended.returncode == -signal.SIGKILL
    assert not (killed / "sae_weights.safetensors").exists()
    kept = step // 3 * 3
    found = [path.name for path in (killed / "checkpoints").glob("step-*")]
    assert found == ([f"step-{kept}"] if kept else [])
    steps: list[int] = []
    job = tiny_job(killed, architecture="batchtopk", checkpoint_every=3)
    resumed = train_sae(model, job, lambda done, _total: steps.append(done))
    assert steps[0] == kept + 1, "it goes on from the last checkpoint"
    assert (resumed.sha256, resumed.log) == (whole.sha256, whole.log)
    assert not (killed / "checkpoints").exists()
    steps.clear()
    assert train_sae(model, job, lambda done, _total: steps.append(done)) == resumed
    assert steps == [], "a finished training is not run again"
    record_property("kills", 1)


def test_a_directory_belongs_to_one_job(model: PreTrainedModel, tmp_path: Path) -> None:
    train_sae(model, tiny_job(tmp_path))
    with pytest.raises(InputError, match=r"training.json: the directory belongs to another model, other chats"):
        train_sae(model, tiny_job(tmp_path, seed=9))
    log = json.loads((tmp_path / "training.json").read_text())
    (tmp_path / "training.json").write_text(json.dumps({"steps": log["steps"]}))
    with pytest.raises(InputError, match="belongs to another"):
        train_sae(model, tiny_job(tmp_path))


def test_what_cannot_be_trained_on_is_named(model: PreTrainedModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model llama has 3 layers \(got 3\); choose one of 0 to 2"):
        train_sae(model, tiny_job(tmp_path / "layer", layer=3))
    with pytest.raises(InputError, match="tokens that count, and a batch takes 600"):
        train_sae(model, tiny_job(tmp_path / "batch", batch_size=600))
    silent = tiny_model()
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    with pytest.raises(InputError, match="the activations of these chats do not vary"):
        train_sae(silent, tiny_job(tmp_path / "silent"))
