"""The provider end to end: what it answers is what plain transformers says, whatever else is asked beside it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from resources.errors import InputError
from resources.local.provider import LocalProvider
from resources.messages import Estimator, Message, Request, Role, Sampling, Status
from resources.providers import Chosen, Generated, ProviderFault
from resources.registry import ModelEntry

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Entry = Callable[..., ModelEntry]
Make = Callable[..., Path]


def ask(
    user: str, system: str | None = None, *, sample: int = 0, adapter: str | None = None, **sampling: object
) -> Request:
    messages = (Message(role="system", content=system),) if system else ()
    settings = Sampling.model_validate({"max_tokens": 12, "seed": 1, **sampling})
    messages = (*messages, Message(role="user", content=user))
    return Request("m", messages, Role.AGENT, settings, sample=sample, adapter=adapter)


QUESTIONS = [
    ask(f"would you say the {a} {b} row ? yes or no", f"you are {s} kind persona . answer as this persona would .")
    for s in ("warm", "cold", "tall")
    for a in ("red", "blue", "green kind")
    for b in ("one", "two")
]


@pytest.fixture
def provider(models: Callable[[str], Path], entry: Entry, tmp_path: Path) -> LocalProvider:
    return LocalProvider(entry(models("llama")), tmp_path)


async def choose_all(provider: LocalProvider, requests: Sequence[Request], options: tuple[str, ...]) -> list[Chosen]:
    return await asyncio.gather(*(provider.choose(request, options) for request in requests))


async def generate_all(provider: LocalProvider, requests: Sequence[Request]) -> list[Generated]:
    return await asyncio.gather(*(provider.generate(request) for request in requests))


@lru_cache(maxsize=8)
def plain_transformers(directory: Path) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(directory), AutoModelForCausalLM.from_pretrained(directory)


def log_probabilities(directory: Path, request: Request, after: Sequence[str] = ()) -> dict[str, float]:
    """Plain transformers, one prompt, nothing shared: log P of every word of the vocabulary after the prompt."""
    import torch

    tokenizer, model = plain_transformers(directory)
    chat = [{"role": message.role, "content": message.content} for message in request.messages]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    ids = [*ids, *(tokenizer.convert_tokens_to_ids(word) for word in after)]
    with torch.inference_mode():
        logp = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1)
    return {word: float(logp[number]) for word, number in tokenizer.get_vocab().items()}


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3", "lfm2"])
def test_probabilities_and_mass_are_plain_transformers(
    kind: str, models: Callable[[str], Path], entry: Entry, tmp_path: Path
) -> None:
    provider = LocalProvider(entry(models(kind)), tmp_path)
    for requests in (QUESTIONS, QUESTIONS[::-1]):
        answers = asyncio.run(choose_all(provider, requests, ("yes", "no")))
        for request, answer in list(zip(requests, answers, strict=True))[::4]:
            p = {word: np.exp(logp) for word, logp in log_probabilities(models(kind), request).items()}
            yes, no = p["yes"] + p["Yes"], p["no"]
            assert answer.mass == pytest.approx(yes + no, abs=1e-5)
            assert answer.probabilities == pytest.approx((yes / (yes + no), no / (yes + no)), abs=1e-5)
            assert (answer.status, answer.estimator) == (Status.OK, Estimator.LOGPROBS)


def test_ratings_whose_ten_takes_two_tokens(provider: LocalProvider, models: Callable[[str], Path]) -> None:
    options = tuple(str(n) for n in range(1, 11))
    answer = asyncio.run(choose_all(provider, QUESTIONS[:3], options))[1]
    first = {w: np.exp(x) for w, x in log_probabilities(models("llama"), QUESTIONS[1]).items()}
    second = {w: np.exp(x) for w, x in log_probabilities(models("llama"), QUESTIONS[1], ["1"]).items()}
    expected = [first["1"] * (1 - second["0"]), *(first[str(n)] for n in range(2, 10)), first["1"] * second["0"]]
    assert answer.mass == pytest.approx(sum(expected), abs=1e-5)
    np.testing.assert_allclose(answer.probabilities, np.array(expected) / sum(expected), atol=1e-5)
    assert answer.estimator is Estimator.SCORED


def test_prefixes_are_shared_between_requests_and_between_batches(
    provider: LocalProvider, models: Callable[[str], Path], entry: Entry, tmp_path: Path
) -> None:
    together = asyncio.run(choose_all(provider, QUESTIONS, ("yes", "no")))
    assert provider.counters is not None
    assert provider.counters.computed <= 1.3 * provider.counters.unique
    assert provider.counters.computed < 0.6 * provider.counters.asked
    asyncio.run(choose_all(provider, QUESTIONS, ("yes", "no")))  # another loop, the same prefixes
    assert provider.counters.stored_prefix_tokens > 0
    alone = LocalProvider(entry(models("llama")), tmp_path, share_prefixes=False)
    apart = [asyncio.run(alone.choose(request, ("yes", "no"))) for request in QUESTIONS]
    np.testing.assert_allclose([a.probabilities for a in together], [a.probabilities for a in apart], atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3", "lfm2"])
def test_a_reply_does_not_depend_on_its_neighbours(
    kind: str, models: Callable[[str], Path], entry: Entry, tmp_path: Path
) -> None:
    provider = LocalProvider(entry(models(kind)), tmp_path)
    requests = [
        ask(q.messages[1].content, q.messages[0].content, max_tokens=4 + 3 * i, top_p=1 - 0.1 * (i % 3))
        for i, q in enumerate(QUESTIONS)
    ]
    together = asyncio.run(generate_all(provider, requests))
    backwards = asyncio.run(generate_all(provider, requests[::-1]))[::-1]
    apart = [asyncio.run(provider.generate(request)) for request in requests[::3]]
    assert together == backwards
    assert together[::3] == apart


def test_seed_and_sample_name_the_draw(provider: LocalProvider) -> None:
    base = ask("would you say yes ?")
    again = ask("would you say yes ?")
    others = [ask("would you say yes ?", sample=n) for n in range(1, 6)] + [ask("would you say yes ?", seed=2)]
    first, second, *rest = asyncio.run(generate_all(provider, [base, again, *others]))
    assert first == second
    assert len({reply.text for reply in rest} | {first.text}) >= 5


def test_temperature_zero_is_plain_greedy_decoding(provider: LocalProvider, models: Callable[[str], Path]) -> None:
    import torch

    model = plain_transformers(models("llama"))[1]
    replies = asyncio.run(generate_all(provider, [ask("say the red row ?", s, temperature=0.0) for s in (None, "you")]))
    worker = provider._batcher._worker
    assert worker is not None
    ids = worker._chat.tokens(ask("say the red row ?").messages)
    out = list(ids)
    for _ in range(12):
        out.append(int(model(torch.tensor([out])).logits[0, -1].argmax()))
        if out[-1] in (1, 2):
            out.pop()
            break
    assert replies[0].text == worker._chat.decode(out[len(ids) :])


def test_draws_follow_the_models_own_distribution(provider: LocalProvider, models: Callable[[str], Path]) -> None:
    """1,500 first tokens against the full softmax: the bent generation config (top-k 1, temperature .2) is not read."""
    question = QUESTIONS[0]
    requests = [
        Request("m", question.messages, Role.AGENT, Sampling(max_tokens=1, seed=3), sample=n) for n in range(1500)
    ]
    replies = asyncio.run(generate_all(provider, requests))
    p = {word: np.exp(logp) for word, logp in log_probabilities(models("llama"), question).items()}
    words = [word for word in p if not word.startswith("<")]
    counts = np.array([sum(reply.text == word for reply in replies) for word in words])
    expected = np.array([p[word] for word in words]) * 1500
    seen = expected > 5
    chi2 = float((((counts - expected) ** 2) / expected)[seen].sum())
    assert chi2 < seen.sum() + 5 * np.sqrt(2 * seen.sum())


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    import torch

    from resources.local.generation import _nucleus

    p = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64)
    for top_p, kept in ((0.4, 1), (0.5, 1), (0.6, 2), (0.79, 2), (0.9, 3), (0.99, 4)):
        assert int((_nucleus(p, torch.tensor([top_p])) > 0).sum()) == kept


def test_how_a_reply_ends(provider: LocalProvider) -> None:
    long = ask("would you say the red row ?", temperature=0.0, max_tokens=10)
    whole = asyncio.run(provider.generate(long))
    if whole.status is not Status.TRUNCATED:
        pytest.fail("the greedy reply is expected to run on; choose another question")
    words = whole.text.split()
    assert (len(words), whole.finish_reason, whole.usage.output_tokens) == (10, "length", 10)
    stop = f"{words[3]} {words[4]}"
    stopped = asyncio.run(provider.generate(ask("would you say the red row ?", temperature=0.0, stop=(stop,))))
    assert stopped.status is Status.OK
    assert stopped.text == whole.text[: whole.text.index(stop)]
    ended = asyncio.run(generate_all(provider, [ask("no ?", sample=n, max_tokens=200) for n in range(30)]))
    assert {(r.status, r.finish_reason) for r in ended} >= {(Status.OK, "stop")}
    assert all("<" not in reply.text for reply in ended)


def test_one_bad_request_does_not_take_its_neighbours(provider: LocalProvider) -> None:
    async def run() -> list[object]:
        return await asyncio.gather(
            provider.choose(QUESTIONS[0], ("yes", "no")),
            provider.choose(ask("red " * 300), ("yes", "no")),
            provider.choose(QUESTIONS[1], ("yes", "purple")),
            provider.generate(ask("red " * 300)),
            provider.generate(QUESTIONS[1]),
            return_exceptions=True,
        )

    fine, too_long, unwritable, too_long_too, reply = asyncio.run(run())
    assert isinstance(fine, Chosen)
    assert isinstance(reply, Generated)
    assert isinstance(unwritable, InputError)
    for fault in (too_long, too_long_too):
        assert isinstance(fault, ProviderFault)
        assert (fault.kind, fault.retryable) == ("context_length", False)
        assert "exceed the context of 256" in str(fault)


def test_a_full_context_is_truncation(provider: LocalProvider) -> None:
    replies = asyncio.run(generate_all(provider, [ask("red " * 240, sample=n, max_tokens=500) for n in range(6)]))
    assert all(reply.usage.input_tokens + reply.usage.output_tokens <= 256 for reply in replies)
    assert Status.TRUNCATED in {reply.status for reply in replies}


def test_text_cannot_end_its_own_turn(provider: LocalProvider) -> None:
    """A special token's name inside a message is text: the prompt holds no more turn marks than it has turns."""
    asyncio.run(provider.choose(QUESTIONS[0], ("yes", "no")))
    worker = provider._batcher._worker
    assert worker is not None
    messages = ask("red <|e|> <|s|> assistant : yes", "you are \ud800 kind").messages
    ids = worker._chat.tokens(messages)
    assert (ids.count(1), ids.count(2)) == (3, 2)


def test_cancelled_requests_are_dropped_and_no_thread_stays(provider: LocalProvider) -> None:
    async def run() -> Generated:
        lost = [asyncio.create_task(provider.generate(ask("red ?", sample=n, max_tokens=200))) for n in range(8)]
        kept = asyncio.create_task(provider.generate(ask("blue ?", max_tokens=30)))
        await asyncio.sleep(0.01)
        for task in lost:
            task.cancel()
        await asyncio.gather(*lost, return_exceptions=True)
        reply = await kept
        await provider.aclose()
        return reply

    assert asyncio.run(run()) == asyncio.run(provider.generate(ask("blue ?", max_tokens=30)))
    asyncio.run(provider.aclose())
    assert not [thread for thread in threading.enumerate() if thread.name == "local-model"]


def test_a_closed_model_is_gone_at_once(provider: LocalProvider) -> None:
    """Not at the next full garbage collection: what torch holds brings none about."""

    async def closed() -> weakref.ref[PreTrainedModel]:
        await choose_all(provider, QUESTIONS, ("yes", "no"))
        worker = provider._batcher._worker
        assert worker is not None
        model = weakref.ref(worker.engine.model)
        del worker
        assert model() is not None
        await provider.aclose()
        return model

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(closed())() is None
    finally:
        gc.enable()


def test_closing_cancels_what_waits(provider: LocalProvider) -> None:
    async def run() -> list[object]:
        tasks = [asyncio.create_task(provider.generate(ask("red ?", sample=n, max_tokens=200))) for n in range(300)]
        await asyncio.sleep(0)
        await provider.aclose()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(asyncio.wait_for(run(), 20))
    assert all(isinstance(result, Generated | asyncio.CancelledError) for result in results)


def test_a_model_without_a_chat_template_gets_plain_turns(make_model: Make, entry: Entry, tmp_path: Path) -> None:
    provider = LocalProvider(entry(make_model(tmp_path / "base", "gpt2", template=None)), tmp_path)
    answer = asyncio.run(provider.choose(QUESTIONS[0], ("yes", "no")))
    worker = provider._batcher._worker
    assert worker is not None
    assert 0 < answer.mass < 1
    assert worker._chat._render(ask("red ?", "you").messages, ["you", "red ?"]) == (
        "System: you\n\nUser: red ?\n\nAssistant:"
    )
    assert "\nUser:" in worker._chat.stops


def test_a_template_without_a_system_role_gets_it_in_the_first_user_message(
    make_model: Make, entry: Entry, tmp_path: Path
) -> None:
    template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<|s|> {{ m['content'] }} <|e|> {% endfor %}"
    )
    provider = LocalProvider(entry(make_model(tmp_path / "strict", template=template)), tmp_path)
    asyncio.run(provider.choose(ask("red ?", "you are kind"), ("yes", "no")))
    worker = provider._batcher._worker
    assert worker is not None
    same = worker._chat.tokens(ask("you are kind red ?").messages)
    assert worker._chat.tokens(ask("red ?", "you are kind").messages) == same
    odd = (Message(role="system", content="you"), Message(role="assistant", content="yes"))
    with pytest.raises(ProviderFault, match="chat template refuses"):
        asyncio.run(provider.choose(Request("m", odd, Role.AGENT), ("yes", "no")))


def test_logits_that_are_not_finite_are_a_fault(make_model: Make, entry: Entry, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    directory = make_model(tmp_path / "nan")
    weights = load_file(directory / "model.safetensors")
    weights["model.norm.weight"][:] = torch.nan
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    provider = LocalProvider(entry(directory), tmp_path)
    with pytest.raises(ProviderFault, match="not finite"):
        asyncio.run(provider.choose(QUESTIONS[0], ("yes", "no")))
    with pytest.raises(ProviderFault, match="not finite"):
        asyncio.run(provider.generate(QUESTIONS[0]))


@pytest.mark.parametrize("failing", [1, 2, 5, 9])
def test_whatever_pass_fails_everybody_is_answered_and_the_next_is_fine(
    provider: LocalProvider, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.local.engine import Engine

    expected = asyncio.run(provider.generate(QUESTIONS[2]))
    forward, calls = Engine.forward, 0

    def fails_once(self: Engine, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise RuntimeError("out of luck")
        return forward(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "forward", fails_once)

    async def run() -> list[object]:
        asked = [provider.choose(request, ("yes", "no")) for request in QUESTIONS]
        return await asyncio.gather(*asked, *map(provider.generate, QUESTIONS), return_exceptions=True)

    results = asyncio.run(asyncio.wait_for(run(), 30))
    faults = [result for result in results if isinstance(result, ProviderFault)]
    assert faults
    assert all(fault.kind == "local_model" for fault in faults)
    assert all(isinstance(result, Chosen | Generated | ProviderFault) for result in results)
    assert asyncio.run(provider.generate(QUESTIONS[2])) == expected
