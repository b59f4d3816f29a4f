"""Steering as part of a request: the engine with its shared prefixes says what plain hooks say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from resources.adapters import KnownAdapters
from resources.addresses import static_part
from resources.anthropic_provider import AnthropicProvider
from resources.direction_files import Direction, Origin, Reading, Sign, write_direction
from resources.errors import InputError
from resources.local.adapters import Adapters
from resources.local.chat import Chat
from resources.local.direction_reading import load_push
from resources.local.provider import LocalProvider
from resources.local.steering import steered
from resources.messages import Message, Request, Role, Sampling
from resources.providers import Chosen, Generated
from resources.registry import ModelEntry, ProviderName
from resources.steering import KnownDirections, Mode, Positions, Push, Steering
from tests.resources.local.test_local_adapters import write_adapter

KINDS = ("llama", "gpt2", "gemma3", "lfm2")
YES_NO = ("yes", "no")
RATINGS = ("1", "2", "10")
USERS = ("would you say the red row ?", "would you say the red one ?", "would you say a blue kind row ? yes or no")


def keep(path: Path, layer: int, vector: np.ndarray, scale: float = 1.0, reading: Reading | None = None) -> None:
    """A direction file under a name of its own."""
    origin = Origin(model="m", iteration=0, layer=layer, hook="", factor="f", category="high", method="probe", index=0,
                    sae="", sign=Sign.CATEGORY, norm=1.0, scale=scale)  # fmt: skip
    write_direction(Direction(origin, vector, reading=reading), path.parent).replace(path)


@pytest.fixture(scope="module")
def root(models, tmp_path_factory) -> Path:
    """A project with one direction for the first two layers each, and an adapter for a llama."""
    root = tmp_path_factory.mktemp("steered")
    rng = np.random.default_rng(0)
    for layer in (0, 1):
        v, w = rng.normal(size=32), rng.normal(size=32)
        reader = Reading(w, 0.1, 0.2) if layer else None
        keep(root / f"d{layer}.safetensors", layer, v / np.linalg.norm(v), 2.0, reader)
    write_adapter(models("llama"), root / "lora")
    return root


def steerings() -> list[Steering]:
    some = [(Push("d0.safetensors", c, positions=p),) for p in Positions for c in (-1.5, 1.0)]
    both = (Push("d0.safetensors", 0.5), Push("d1.safetensors", 0.7, Mode.CLAMP, Positions.PROMPT))
    return [(), *some, both, (Push("d1.safetensors", 0.2, Mode.CAP),)]


def ask(user: str, steering: Steering = (), **fields: object) -> Request:
    messages = (Message(role="system", content="you are a warm kind persona ."), Message(role="user", content=user))
    sampling = Sampling(max_tokens=6, seed=1, temperature=0.0)
    return Request("m", messages, Role.AGENT, sampling, steering=steering, **fields)  # type: ignore[arg-type]


async def _all(provider: LocalProvider, requests: Sequence[Request]) -> tuple[list[Chosen], list[Generated]]:
    chosen = [provider.choose(request, RATINGS if len(r) % 2 else YES_NO) for r, request in _numbered(requests)]
    written = [provider.generate(request) for request in requests]
    got = await asyncio.gather(*chosen, *written)
    await provider.aclose()
    return list(got[: len(chosen)]), list(got[len(chosen) :])  # type: ignore[arg-type]


def _numbered(requests: Sequence[Request]) -> list[tuple[str, Request]]:
    return [("x" * number, request) for number, request in enumerate(requests)]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_meets_is_answered_as_if_alone_and_as_by_plain_hooks(models, entry, root, kind) -> None:
    requests = [ask(user, steering) for steering in steerings() for user in USERS]
    own = entry(models(kind), dtype="float64")
    chosen, written = asyncio.run(_all(LocalProvider(own, root), requests))
    model = AutoModelForCausalLM.from_pretrained(models(kind), dtype=torch.float64).train(False)
    tokenizer = AutoTokenizer.from_pretrained(models(kind))
    chat, known = Chat(tokenizer), KnownDirections(root)
    for (number, request), choice, reply in zip(_numbered(requests), chosen, written, strict=True):
        pushes, prompt = [load_push(push) for push in known.find(request.steering)], chat.tokens(request.messages)
        with torch.inference_mode(), steered(model, pushes, [len(prompt)]):
            p_V = model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1].softmax(-1)
            if not len(number) % 2:
                yes, no = (
                    sum(float(p_V[chat.encode(form)[0]]) for form in forms) for forms in (("yes", "Yes"), ("no",))
                )
                mass = [yes, no]
                np.testing.assert_allclose(choice.mass, sum(mass), atol=2e-6)
                np.testing.assert_allclose(choice.probabilities, np.array(mass) / sum(mass), atol=2e-6)
            else:  # "10" is two tokens: what is after the prompt counts as generated
                next_V = model(input_ids=torch.tensor([[*prompt, chat.encode("1")[0]]]), use_cache=False).logits[0, -1]
                one, zero = float(p_V[chat.encode("1")[0]]), float(next_V.softmax(-1)[chat.encode("0")[0]])
                wanted = np.array([one * (1 - zero), float(p_V[chat.encode("2")[0]]), one * zero])
                np.testing.assert_allclose(choice.mass, wanted.sum(), atol=2e-6)
                np.testing.assert_allclose(choice.probabilities, wanted / wanted.sum(), atol=2e-6)
            ids = list(prompt)
            while len(ids) < len(prompt) + 6:
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
                if ids[-1] in (1, 2):
                    ids.pop()
                    break
        assert reply.text == chat.decode(ids[len(prompt) :]), request.steering
    assert len({choice.probabilities for choice in chosen}) > len(chosen) / 2


def test_a_steered_checkpoint_is_adapter_and_push_together(models, entry, root) -> None:
    request = ask(USERS[0], (Push("d0.safetensors", 1.0),), adapter="lora")
    chosen, _ = asyncio.run(_all(LocalProvider(entry(models("llama"), dtype="float64"), root), [request]))
    model = AutoModelForCausalLM.from_pretrained(models("llama"), dtype=torch.float64).train(False)
    adapters = Adapters(model)
    adapters.wear(KnownAdapters(root).find("lora"))
    chat = Chat(AutoTokenizer.from_pretrained(models("llama")))
    (found,) = KnownDirections(root).find(request.steering)
    with torch.inference_mode(), steered(model, [load_push(found)]):
        p_V = model(input_ids=torch.tensor([chat.tokens(request.messages)])).logits[0, -1].softmax(-1)
    yes, no = (sum(float(p_V[chat.encode(form)[0]]) for form in forms) for forms in (("yes", "Yes"), ("no",)))
    np.testing.assert_allclose(chosen[0].probabilities, [yes / (yes + no), no / (yes + no)], atol=2e-6)


def test_an_address_holds_the_file_and_what_is_done(models, entry, root) -> None:
    provider = LocalProvider(entry(models("llama")), root)
    base = provider.steering_hash(())
    assert base == ""
    assert provider.steering_hash((Push("d0.safetensors", 0.0),)) == ""  # nothing added is nothing done
    pushes = [
        Push("d0.safetensors", 1.0),
        Push("d0.safetensors", -1.0),
        Push("d1.safetensors", 1.0),
        Push("d0.safetensors", 1.0, Mode.CLAMP),
        Push("d0.safetensors", 0.0, Mode.CLAMP),
        Push("d0.safetensors", 1.0, positions=Positions.LAST),
    ]
    hashes = {provider.steering_hash((push,)) for push in pushes}
    assert len(hashes) == len(pushes)
    assert static_part(provider.identity, "", base) == static_part(provider.identity, "")


def test_what_cannot_be_steered_says_so(models, entry, root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    remote = ModelEntry(name="r", provider=ProviderName.ANTHROPIC, model="claude")
    with pytest.raises(InputError, match=r"only local models can be steered"):
        AnthropicProvider(remote).steering_hash((Push("d0.safetensors", 1.0),))
    provider = LocalProvider(entry(models("llama")), root)
    with pytest.raises(InputError, match=r"no such direction file"):
        provider.steering_hash((Push("none.safetensors", 1.0),))
    other = LocalProvider(entry(models("llama")), tmp_path)
    keep(tmp_path / "far.safetensors", 7, np.eye(32)[0])
    keep(tmp_path / "narrow.safetensors", 0, np.eye(8)[0])
    with pytest.raises(InputError, match=r"the model llama has 2 layers"):
        asyncio.run(_all(other, [ask(USERS[0], (Push("far.safetensors", 1.0),))]))
    with pytest.raises(InputError, match=r"does not fit a model of width 32"):
        asyncio.run(_all(other, [ask(USERS[0], (Push("narrow.safetensors", 1.0),))]))


def test_a_file_that_changed_meanwhile_is_refused(models, entry, tmp_path) -> None:
    keep(tmp_path / "d.safetensors", 0, np.eye(32)[0])
    provider = LocalProvider(entry(models("llama")), tmp_path)
    provider.steering_hash((Push("d.safetensors", 1.0),))
    keep(tmp_path / "d.safetensors", 0, np.eye(32)[1])
    with pytest.raises(InputError, match="changed while it was in use"):
        asyncio.run(_all(provider, [ask(USERS[0], (Push("d.safetensors", 1.0),))]))
