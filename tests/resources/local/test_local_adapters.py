"""LoRA adapters: what a request with one is told is what peft says, whatever is asked beside it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from resources.errors import InputError
from resources.local.provider import LocalProvider
from resources.messages import Message, Request, Role, Sampling
from resources.providers import Chosen, Generated, ProviderFault
from resources.registry import ModelEntry

if TYPE_CHECKING:
    from resources.local.worker import Worker

Entry = Callable[..., ModelEntry]
Models = Callable[[str], Path]
KINDS = ["llama", "gpt2", "lfm2"]  # lfm2 has a cache of its own kind: no shared prefixes, rows decoded alone
YES_NO = ("yes", "no")
RATINGS = tuple(str(n) for n in range(1, 11))


def ask(
    user: str, adapter: str | None = None, *, sample: int = 0, max_tokens: int = 12, temperature: float = 1.0
) -> Request:
    system = "you are a warm kind persona . answer as this persona would ."
    messages = (Message(role="system", content=system), Message(role="user", content=user))
    sampling = Sampling(max_tokens=max_tokens, seed=1, temperature=temperature)
    return Request("m", messages, Role.AGENT, sampling, sample=sample, adapter=adapter)


def questions(adapter: str | None) -> list[Request]:
    return [
        ask(f"would you say the {a} {b} row ? yes or no", adapter)
        for a in ("red", "blue", "green kind")
        for b in ("one", "two", "three")
    ]


def write_adapter(base: Path, directory: Path, *, seed: int = 1, **settings: object) -> Path:
    """An adapter that changes what the base says: random in both of its halves."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings})  # type: ignore[arg-type]
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.15)
    model.save_pretrained(str(directory), save_embedding_layers=False)
    return directory


@pytest.fixture(scope="module")
def root(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two adapters for each kind of model, and some of odd settings."""
    root = tmp_path_factory.mktemp("project")
    for kind in KINDS:
        for seed, name in enumerate("ab"):
            write_adapter(models(kind), root / kind / name, seed=seed)
    parts: dict[str, Any] = {"target_modules": ["q_proj", "down_proj"], "use_rslora": True}
    patterns: dict[str, Any] = {"rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"down_proj": 32}}
    write_adapter(models("llama"), root / "llama" / "patterns", **parts, **patterns)
    head: dict[str, Any] = {"target_modules": ["lm_head", "o_proj"], "layers_to_transform": None}
    write_adapter(models("llama"), root / "llama" / "head", **head)
    return root


@pytest.fixture
def provider(models: Models, entry: Entry, root: Path) -> LocalProvider:
    return LocalProvider(entry(models("llama")), root)


def choose_all(provider: LocalProvider, requests: Sequence[Request], options: tuple[str, ...] = YES_NO) -> list[Chosen]:
    async def run() -> list[Chosen]:
        return await asyncio.gather(*(provider.choose(request, options) for request in requests))

    return asyncio.run(run())


def generate_all(provider: LocalProvider, requests: Sequence[Request]) -> list[Generated]:
    async def run() -> list[Generated]:
        return await asyncio.gather(*map(provider.generate, requests))

    return asyncio.run(asyncio.wait_for(run(), 60))


def worker_of(provider: LocalProvider) -> Worker:
    worker = provider._batcher._worker
    assert worker is not None
    return worker


@lru_cache(maxsize=16)
def peft_model(base: Path, adapter: Path) -> Callable[..., object]:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Callable[..., object] = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    return model


def peft_logits(base: Path, adapter: Path, ids: Sequence[int]) -> np.ndarray:
    """peft's own model, one prompt, nothing shared: the logits after the prompt, in float64."""
    import torch

    with torch.inference_mode():
        logits = peft_model(base, adapter)(torch.tensor([list(ids)])).logits  # type: ignore[attr-defined]
    return np.asarray(logits[0, -1].double())


def assert_as_peft_says(provider: LocalProvider, base: Path, adapter: Path, name: str) -> None:
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(base).get_vocab()
    asked = questions(name)
    plain = choose_all(provider, questions(None))
    answers = choose_all(provider, asked)
    worker = worker_of(provider)
    for request, answer in list(zip(asked, answers, strict=True))[::3]:
        logits = peft_logits(base, adapter, worker._chat.tokens(request.messages))
        p = np.exp(logits - logits.max())
        p /= p.sum()
        yes, no = p[words["yes"]] + p[words["Yes"]], p[words["no"]]
        assert answer.mass == pytest.approx(yes + no, abs=1e-5)
        assert answer.probabilities == pytest.approx((yes / (yes + no), no / (yes + no)), abs=1e-5)
    assert max(abs(a.mass - b.mass) for a, b in zip(plain, answers, strict=True)) > 1e-3, "the adapter changes nothing"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_scores_are_those_of_peft(kind: str, name: str, models: Models, entry: Entry, root: Path) -> None:
    provider = LocalProvider(entry(models(kind)), root)
    assert_as_peft_says(provider, models(kind), root / kind / name, f"{kind}/{name}")


@pytest.mark.parametrize("name", ["patterns", "head"])
def test_ranks_scales_and_targets_are_read_as_peft_reads_them(
    name: str, models: Models, provider: LocalProvider, root: Path
) -> None:
    assert_as_peft_says(provider, models("llama"), root / "llama" / name, f"llama/{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_replies_are_those_of_peft(kind: str, models: Models, entry: Entry, root: Path) -> None:
    provider = LocalProvider(entry(models(kind)), root)
    name = f"{kind}/a"
    asked = [ask(f"say the {word} row ?", name, temperature=0.0) for word in ("red", "blue")]
    replies = generate_all(provider, asked)
    chat = worker_of(provider)._chat
    for request, reply in zip(asked, replies, strict=True):
        ids = list(chat.tokens(request.messages))
        start = len(ids)
        while len(ids) < start + 12 and ids[-1] not in (1, 2):
            ids.append(int(peft_logits(models(kind), root / name, ids).argmax()))
        assert reply.text == chat.decode([token for token in ids[start:] if token not in (1, 2)])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_together_is_what_each_is_told_alone(kind: str, models: Models, entry: Entry, root: Path) -> None:
    """Base and two adapters in one batch, scoring (with answers of two tokens) and decoding, on one loop."""
    names = (None, f"{kind}/a", f"{kind}/b")

    def one_of_each() -> list[Request]:
        return [request for trio in zip(*map(questions, names), strict=True) for request in trio]

    async def together() -> tuple[list[Chosen], list[Generated]]:
        provider = LocalProvider(entry(models(kind)), root, max_rows=6)
        scores = asyncio.gather(*(provider.choose(request, RATINGS) for request in one_of_each()))
        replies = asyncio.gather(*map(provider.generate, one_of_each()))
        return list(await scores), list(await replies)

    scores, replies = asyncio.run(asyncio.wait_for(together(), 60))
    for place, name in enumerate(names):
        alone = LocalProvider(entry(models(kind)), root, share_prefixes=False)
        expected = choose_all(alone, questions(name), RATINGS)
        np.testing.assert_allclose(
            [answer.probabilities for answer in scores[place::3]], [e.probabilities for e in expected], atol=1e-5
        )
        assert replies[place::3] == generate_all(alone, questions(name))
    assert len({reply.text for reply in replies}) > len(replies) / 2, "the three say different things"


def test_the_base_is_bit_for_bit_what_it_was(provider: LocalProvider) -> None:
    import torch

    choose_all(provider, questions(None)[:1])
    engine = worker_of(provider).engine
    tokens = [list(range(3, 30)), list(range(5, 40))]
    before, _ = engine.forward(tokens, [(0, 26), (1, 34)])
    weights = {name: tensor.clone() for name, tensor in engine.model.state_dict().items()}
    scores = choose_all(provider, questions(None))
    for name in ("llama/a", "llama/b", "llama/head", "llama/a"):
        changed = choose_all(provider, questions(name))
        assert changed != scores
        again, _ = engine.forward(tokens, [(0, 26), (1, 34)])
        assert torch.equal(again, before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in engine.model.state_dict().items())
    assert choose_all(provider, questions(None)) == scores


def test_only_the_adapters_used_last_are_kept(models: Models, entry: Entry, root: Path) -> None:
    provider = LocalProvider(entry(models("llama")), root, max_adapters=2)
    names = ["llama/a", "llama/b", "llama/head", "llama/patterns"]
    first = [choose_all(provider, questions(name)) for name in names]

    def loaded() -> list[str]:
        return [str(adapter.directory.relative_to(root)) for adapter in worker_of(provider).engine.adapters.loaded]

    assert loaded() == ["llama/head", "llama/patterns"]
    choose_all(provider, questions("llama/head")[:1])
    choose_all(provider, [ask("an other row ?", "llama/a")])
    assert loaded() == ["llama/head", "llama/a"]
    mixed = choose_all(provider, [request for name in names for request in questions(name)])
    np.testing.assert_allclose(
        [answer.probabilities for answer in mixed],
        [answer.probabilities for each in first for answer in each],
        atol=2e-6,
    )


def test_prefixes_are_shared_within_an_adapter_and_never_between(provider: LocalProvider) -> None:
    choose_all(provider, questions(None))
    counters = provider.counters
    assert counters is not None
    stored = counters.stored_prefix_tokens
    choose_all(provider, questions("llama/a"))
    assert counters.stored_prefix_tokens == stored, "the base's prefixes are not the adapter's"
    assert counters.computed <= 1.3 * counters.unique
    choose_all(provider, questions("llama/a"))
    assert counters.stored_prefix_tokens > stored


def test_no_adapter_waits_for_another_to_be_done(models: Models, entry: Entry, root: Path) -> None:
    """Many long replies with one adapter and few short ones with others, all with room for four rows."""

    async def run() -> list[str]:
        provider = LocalProvider(entry(models("llama")), root, max_rows=4)
        order: list[str] = []

        async def reply(name: str, number: int, tokens: int) -> None:
            request = ask(f"say {number} ?", name, sample=number, max_tokens=tokens)
            await provider.generate(request)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(reply("llama/a", number, 30))
            for number in range(3):
                for name in ("llama/b", "llama/head"):
                    group.create_task(reply(name, number, 4))
        return order

    order = asyncio.run(asyncio.wait_for(run(), 60))
    assert max(place for place, name in enumerate(order) if name != "llama/a") < 33


def test_scoring_plans_of_adapters_take_turns(
    models: Models, entry: Entry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.local import worker

    monkeypatch.setattr(worker, "_PLANNED_IN_TURN", 4)

    async def run() -> list[str]:
        provider = LocalProvider(entry(models("llama")), root)
        order: list[str] = []

        async def score(name: str, number: int) -> None:
            await provider.choose(ask(f"row {number} ?", name), YES_NO)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(score("llama/a", number))
            for number in range(4):
                group.create_task(score("llama/b", number))
        return order

    order = asyncio.run(asyncio.wait_for(run(), 60))
    assert len(order) == 44
    assert order[4:8] == ["llama/b"] * 4


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """An adapter of the tiny llama that may be spoilt."""
    return Path(shutil.copytree(root / "llama" / "a", tmp_path / "spoilt"))


def _edit_config(adapter: Path, **fields: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _edit_tensors(adapter: Path, change: Callable[[dict[str, object]], object]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(adapter / "adapter_model.safetensors")
    change(tensors)  # type: ignore[arg-type]
    save_file(tensors, adapter / "adapter_model.safetensors")


Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def _damage(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def _pickle(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")


def _narrow(tensors: dict[str, object]) -> None:
    tensors[Q] = tensors[Q][:, :7].clone()  # type: ignore[index]


def _integers(tensors: dict[str, object]) -> None:
    tensors[Q] = tensors[Q].int()  # type: ignore[attr-defined]


def _embedding(tensors: dict[str, object]) -> None:
    import torch

    tensors["base_model.model.model.embed_tokens.lora_A.weight"] = torch.ones(4, 50)
    tensors["base_model.model.model.embed_tokens.lora_B.weight"] = torch.ones(32, 4)


SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (_damage, r"adapter_model\.safetensors: header: not a readable safetensors file"),
    (_pickle, r"only pickled weights \(adapter_model\.bin\), which can run code"),
    (lambda a: (a / "adapter_config.json").unlink(), r"spoilt: adapter: there is no adapter_config\.json"),
    (lambda a: (a / "adapter_config.json").write_text("{"), r"adapter_config\.json: .*JSON"),
    (lambda a: _edit_config(a, r=8), r"spoilt: model.*_proj: lora_A is \[4, \d+\] and lora_B \[\d+, 4\].* is 8"),
    (lambda a: _edit_config(a, peft_type="IA3"), r"peft_type: .*'LORA'.*got 'IA3'"),
    (lambda a: _edit_config(a, use_dora=True), r"use_dora: only plain LoRA"),
    (lambda a: _edit_config(a, modules_to_save=["lm_head"]), r"modules_to_save: only plain LoRA"),
    (lambda a: _edit_config(a, bias="all"), r"bias: .*got 'all'"),
    (lambda a: _edit_config(a, init_lora_weights="pissa"), r"init_lora_weights: .*changed base weights"),
    (lambda a: _edit_config(a, rank_pattern={"(": 2}), r"adapter_config\.json: not usable"),
    (
        lambda a: _edit_tensors(a, _narrow),
        r"q_proj: lora_B \[32, 4\] times lora_A \[4, 7\] .* \[32, 32\] .*trained on this model",
    ),
    (lambda a: _edit_tensors(a, _integers), r"q_proj\.lora_A\.weight: .*\[4, 32\] of torch\.int32"),
    (lambda a: _edit_tensors(a, lambda t: t.pop(Q)), r"q_proj: there is no lora_A\.weight"),
    (lambda a: _edit_tensors(a, lambda t: t.clear()), r"the file holds no tensors"),
    (lambda a: _edit_tensors(a, _embedding), r"embed_tokens: .*no linear one but Embedding"),
    (lambda a: _edit_tensors(a, lambda t: t.update(odd=t.pop(Q))), r"odd: a tensor that is no half"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILT)
def test_a_wrong_adapter_is_one_clear_error_and_its_neighbours_are_answered(
    spoil: Callable[[Path], object], message: str, copy: Path, provider: LocalProvider
) -> None:
    spoil(copy)

    async def run() -> list[object]:
        asked = [provider.choose(request, YES_NO) for name in (None, "llama/b") for request in questions(name)[:2]]
        wrong = [provider.choose(ask("red ?", str(copy)), YES_NO), provider.generate(ask("red ?", str(copy)))]
        replies = [provider.generate(request) for request in questions("llama/b")[:2]]
        return await asyncio.gather(*asked, *replies, *wrong, return_exceptions=True)

    *fine, scored, replied = asyncio.run(asyncio.wait_for(run(), 60))
    assert all(isinstance(answer, Chosen | Generated) for answer in fine)
    for error in (scored, replied):
        assert isinstance(error, InputError)
        assert error.fix
    with pytest.raises(InputError, match=message):
        choose_all(provider, [ask("red ?", str(copy))])


def test_an_adapter_of_another_architecture_is_named(models: Models, entry: Entry, root: Path) -> None:
    provider = LocalProvider(entry(models("gpt2")), root)
    with pytest.raises(InputError, match=r"llama/a: model\.layers\.0.*the base model \(gpt2\) has no such module"):
        choose_all(provider, questions("llama/a"))
    with pytest.raises(InputError, match="no such adapter directory"):
        choose_all(provider, questions("llama/missing"))


def test_damaged_headers_are_input_errors_and_nothing_else(copy: Path) -> None:
    from resources.local.lora_files import LoraFiles, read_lora

    path = copy / "adapter_model.safetensors"
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(7)
    refused = 0
    for _ in range(200):
        spoilt = bytearray(whole)
        for place in random.integers(0, header, random.integers(1, 4)):
            spoilt[place] = random.integers(0, 256)
        path.write_bytes(spoilt if random.random() < 0.7 else spoilt[: random.integers(0, len(spoilt))])
        try:
            assert isinstance(read_lora(copy), LoraFiles)
        except InputError:
            refused += 1
    assert refused > 150


def test_replies_are_remembered_for_each_adapter_apart(models: Models, root: Path, tmp_path: Path) -> None:
    from resources.accounts import static_for
    from resources.registry import Registry
    from tests.servers.asking import layer

    fields = {"name": "m", "provider": "local", "model": str(models("llama"))}
    registry = Registry.model_validate({"models": [fields]})
    names = (None, str(root / "llama/a"), str(root / "llama/b"))
    assert len({static_for(registry["m"], root, name) for name in names}) == 3

    async def asked() -> tuple[list[str], set[bool], list[float]]:
        async with layer(registry, tmp_path) as models_:
            replies = await models_.generate_many([ask("red ?", name) for name in names])
            chosen = await models_.choose_many([ask("red ?", name) for name in names], YES_NO)
        cached = {reply.cached for reply in replies} | {answer.cached for answer in chosen}
        return [reply.text for reply in replies], cached, [answer.mass for answer in chosen]

    first, again = asyncio.run(asked()), asyncio.run(asked())
    assert (first[1], again[1]) == ({False}, {True})
    assert (first[0], first[2]) == (again[0], again[2])
    assert len(set(first[2])) == 3


def test_the_hash_names_the_files_that_answer(models: Models, entry: Entry, copy: Path, tmp_path: Path) -> None:
    provider = LocalProvider(entry(models("llama")), tmp_path)
    first = provider.adapter_hash("spoilt")
    assert provider.adapter_hash(None) == ""
    _edit_config(copy, lora_alpha=9)
    with pytest.raises(InputError, match="changed while it was in use"):
        choose_all(provider, [ask("red ?", "spoilt")])
    later = LocalProvider(entry(models("llama")), tmp_path)
    assert later.adapter_hash("spoilt") != first
    assert choose_all(later, [ask("red ?", "spoilt")])[0].probabilities


@pytest.mark.parametrize("failing", [2, 3, 5, 8])
def test_whatever_pass_fails_everybody_is_answered(
    provider: LocalProvider, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.local.engine import Engine

    forward, calls = Engine.forward, 0

    def fails_once(self: Engine, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise RuntimeError("out of luck")
        return forward(self, *args)  # type: ignore[arg-type]

    expected = generate_all(provider, questions("llama/a")[:1])
    monkeypatch.setattr(Engine, "forward", fails_once)

    async def run() -> list[object]:
        asked = [request for name in (None, "llama/a", "llama/b") for request in questions(name)]
        scored = [provider.choose(request, YES_NO) for request in asked]
        return await asyncio.gather(*scored, *map(provider.generate, asked), return_exceptions=True)

    results = asyncio.run(asyncio.wait_for(run(), 60))
    assert any(isinstance(result, ProviderFault) for result in results)
    assert all(isinstance(result, Chosen | Generated | ProviderFault) for result in results)
    assert generate_all(provider, questions("llama/a")[:1]) == expected
