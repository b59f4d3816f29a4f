"""Steering by hooks: its laws on models of three shapes, one hand computation, and a public project's figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from resources.errors import InputError
from resources.local.blocks import block_at, blocks
from resources.local.steering import LoadedPush, Places, Reader, steered
from resources.steering import Mode, Positions

SHAPES = ("llama", "gpt2", "gemma3", "lfm2")
LENGTHS = (7, 4, 9)


@pytest.fixture(params=SHAPES)
def model(request, models) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(models(request.param), dtype=torch.float64).train(False)


def vector(model: PreTrainedModel, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(model.config.hidden_size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm()


def push(model: PreTrainedModel, strength: float = 3.0, layer: int = 0, **fields: object) -> LoadedPush:
    return LoadedPush(layer, fields.pop("vector_D", vector(model)), strength, **fields)


def rows(model: PreTrainedModel) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.integers(3, model.config.vocab_size, n).tolist() for n in LENGTHS]


def logits(model: PreTrainedModel, ids: list[int], pushes: list[LoadedPush], prompt: int | None = None) -> torch.Tensor:
    with torch.inference_mode(), steered(model, pushes, None if prompt is None else [prompt]):
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def padded(all_rows: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, all_rows))
    ids, mask = [], []
    for row in all_rows:
        pad, ones = [0] * (width - len(row)), [1] * len(row)
        ids.append(row + pad if side == "right" else pad + row)
        mask.append(ones + pad if side == "right" else pad + ones)
    return torch.tensor(ids), torch.tensor(mask)


@pytest.mark.parametrize("positions", Positions)
def test_zero_is_bit_exact_and_nothing_stays_behind(model, positions) -> None:
    ids = rows(model)[0]
    base = logits(model, ids, [])
    assert torch.equal(logits(model, ids, [push(model, 0.0, positions=positions)]), base)
    if positions is not Positions.GENERATED:  # here nothing is generated
        assert not torch.equal(logits(model, ids, [push(model, positions=positions)]), base)
    assert torch.equal(logits(model, ids, []), base)
    assert not any(block.module._forward_hooks for block in blocks(model))
    assert not model.base_model._forward_pre_hooks


def test_hooks_are_gone_after_an_exception(model) -> None:
    with pytest.raises(ZeroDivisionError), steered(model, [push(model)]):
        raise ZeroDivisionError
    assert not any(block.module._forward_hooks for block in blocks(model))
    assert not model.base_model._forward_pre_hooks


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gemma3"])
def test_adding_is_linear_in_vector_and_coefficient(models, shape) -> None:
    model = AutoModelForCausalLM.from_pretrained(models(shape), dtype=torch.float64).train(False)
    ids, v, w = rows(model)[0], vector(model), vector(model, 1)
    double = logits(model, ids, [push(model, 3.0, vector_D=2 * v)])
    torch.testing.assert_close(logits(model, ids, [push(model, 6.0, vector_D=v)]), double, rtol=0, atol=1e-10)
    both = logits(model, ids, [push(model, 3.0, vector_D=v), push(model, 3.0, vector_D=w)])
    torch.testing.assert_close(logits(model, ids, [push(model, 3.0, vector_D=v + w)]), both, rtol=0, atol=1e-10)


@pytest.mark.parametrize("positions", Positions)
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gemma3"])
def test_cached_uncached_batched_and_padded_are_one(models, shape, positions) -> None:
    """Three tokens after a prompt: in one pass, token by token in a cache, and in left- and right-padded batches."""
    model = AutoModelForCausalLM.from_pretrained(models(shape), dtype=torch.float64).train(False)
    pushes, wanted = [push(model, positions=positions), push(model, 2.0, 1, mode=Mode.CAP, positions=positions)], []
    ends = [len(row) - 3 for row in rows(model)]
    for row, end in zip(rows(model), ends, strict=True):
        whole = logits(model, row, pushes, prompt=end)
        with torch.inference_mode(), steered(model, pushes):
            first = model(input_ids=torch.tensor([row[:end]]), use_cache=True)
            steps, cache = [first.logits[0]], first.past_key_values
            for token in row[end:]:
                out = model(input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True)
                steps.append(out.logits[0])
        torch.testing.assert_close(torch.cat(steps), whole, rtol=0, atol=1e-9)
        wanted.append(whole)
    for side in ("left", "right"):
        ids, mask = padded(rows(model), side)
        place = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode(), steered(model, pushes, ends):
            got = model(input_ids=ids, attention_mask=mask, position_ids=place, use_cache=False).logits
        for row, (own, kept) in enumerate(zip(got, mask.bool(), strict=True)):
            torch.testing.assert_close(own[kept], wanted[row], rtol=0, atol=1e-9)


@pytest.mark.parametrize("positions", Positions)
def test_generate_is_greedy_decoding_without_a_cache(models, positions) -> None:
    model = AutoModelForCausalLM.from_pretrained(models("llama"), dtype=torch.float64).train(False)
    pushes, prompt = [push(model, 4.0, positions=positions)], rows(model)[0]
    ids, mask = padded(rows(model), "left")
    with torch.inference_mode(), steered(model, pushes):
        together = model.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False, eos_token_id=-1,
                                  repetition_penalty=1.0, pad_token_id=0)[0, -4:].tolist()  # fmt: skip
    alone = list(prompt)
    for _ in range(4):
        alone.append(int(logits(model, alone, pushes, prompt=len(prompt))[-1].argmax()))
    assert alone[len(prompt) :] == together


def test_modes_do_what_they_say(model) -> None:
    v = vector(model)
    seen: dict[str, torch.Tensor] = {}

    def stream(pushes: list[LoadedPush]) -> torch.Tensor:
        def keep(_m: object, _a: object, out: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            seen["h"] = out if isinstance(out, torch.Tensor) else out[0]

        with torch.inference_mode(), steered(model, pushes):
            hook = block_at(model, 0).module.register_forward_hook(keep)  # after the steering's own hook
            model(input_ids=torch.tensor([rows(model)[0]]), use_cache=False)
            hook.remove()
        return seen["h"][0]

    base = stream([])
    torch.testing.assert_close(stream([push(model, 2.5)]), base + 2.5 * v)
    torch.testing.assert_close(stream([push(model, 0.0, mode=Mode.ABLATE)]) @ v, torch.zeros(7, dtype=torch.float64))
    torch.testing.assert_close(stream([push(model, 1.5, mode=Mode.CLAMP)]) @ v, torch.full((7,), 1.5).double())
    bound = float((base @ v).median())
    torch.testing.assert_close(stream([push(model, bound, mode=Mode.CAP)]) @ v, (base @ v).clamp(max=bound))
    reader = Reader(vector(model, 2), bias=0.1, threshold=0.05)
    z = base @ reader.weight_D + 0.1
    latent = torch.where(z > 0.05, z, 0.0)
    clamped = stream([push(model, 2.0, mode=Mode.CLAMP, reader=reader)])
    torch.testing.assert_close(clamped, base + (2.0 - latent)[:, None] * v)


def test_a_public_projects_hook_is_all_but_last() -> None:
    """h[:, :T-1] += coefficient * sum of vectors; the last position and one-token steps stay as they are."""
    resid = torch.arange(24, dtype=torch.float64).reshape(2, 4, 3) / 10
    wanted = [
        [[3.0, 1.1, -1.8], [3.3, 1.4, -1.5], [3.6, 1.7, -1.2], [0.9, 1.0, 1.1]],
        [[4.2, 2.3, -0.6], [4.5, 2.6, -0.3], [4.8, 2.9, 0.0], [2.1, 2.2, 2.3]],
    ]
    vectors = [torch.tensor([1.0, 0.0, -1.0]).double(), torch.tensor([0.5, 0.5, 0.0]).double()]
    places = Places()
    places.index_B_S, places.prompt_B = torch.arange(4).expand(2, 4), torch.tensor([4, 4])
    mask = places.of(Positions.ALL_BUT_LAST)
    assert mask is not None
    change = sum(LoadedPush(0, v, 2.0, positions=Positions.ALL_BUT_LAST).change(resid) for v in vectors)
    torch.testing.assert_close(resid + change * mask[..., None], torch.tensor(wanted).double())
    places.index_B_S = torch.tensor([[4], [4]])  # a step with a cache
    assert not places.of(Positions.ALL_BUT_LAST).any()


def test_two_layers_by_hand(models) -> None:
    """A two-layer Llama in numpy, steered after its first block, against the hooks."""
    model = AutoModelForCausalLM.from_pretrained(models("llama"), dtype=torch.float64).train(False)
    ids, v = rows(model)[0], vector(model)
    with torch.inference_mode(), steered(model, [push(model, 2.0)]):
        got = model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states[-1][0]
    by_hand = _llama(model, np.array(ids), steer_after_first=2.0 * v.numpy())
    np.testing.assert_allclose(got.numpy(), by_hand, rtol=0, atol=1e-5)
    assert np.abs(by_hand - _llama(model, np.array(ids), steer_after_first=np.zeros(len(v)))).max() > 0.01


def _llama(model: PreTrainedModel, ids: np.ndarray, *, steer_after_first: np.ndarray) -> np.ndarray:
    w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    config, n = model.config, len(ids)
    heads, kv, width = config.num_attention_heads, config.num_key_value_heads, config.hidden_size
    size = width // heads
    theta = config.rope_parameters["rope_theta"]
    angle = np.outer(np.arange(n), theta ** (-np.arange(0, size, 2) / size))
    cos, sin = (np.concatenate([f(angle)] * 2, axis=1) for f in (np.cos, np.sin))

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.rms_norm_eps) * weight

    def turn(x: np.ndarray) -> np.ndarray:  # [heads, n, size]
        half = np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], axis=-1)
        return x * cos + half * sin

    x = w["model.embed_tokens.weight"][ids]
    for layer in range(2):
        p = f"model.layers.{layer}."
        a = norm(x, w[p + "input_layernorm.weight"])
        q, k, val = (
            (a @ w[p + f"self_attn.{name}_proj.weight"].T).reshape(n, -1, size).transpose(1, 0, 2) for name in "qkv"
        )
        k, val = (np.repeat(t, heads // kv, axis=0) for t in (turn(k), val))
        scores = turn(q) @ k.transpose(0, 2, 1) / np.sqrt(size) + np.triu(np.full((n, n), -np.inf), 1)
        p_attend = np.exp(scores - scores.max(-1, keepdims=True))
        p_attend /= p_attend.sum(-1, keepdims=True)
        x = x + (p_attend @ val).transpose(1, 0, 2).reshape(n, width) @ w[p + "self_attn.o_proj.weight"].T
        a = norm(x, w[p + "post_attention_layernorm.weight"])
        gate = a @ w[p + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (a @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
        if layer == 0:
            x = x + steer_after_first
    return norm(x, w["model.norm.weight"])


def test_wrong_layers_and_widths_say_what_exists(model) -> None:
    last = model.config.num_hidden_layers - 1
    with (
        pytest.raises(InputError, match=rf"layer: the model .* has {last + 1} layers \(got 9\).*0 to {last}"),
        steered(model, [push(model, layer=9)]),
    ):
        pass
    with (
        pytest.raises(InputError, match=r"a direction of \[5\] numbers does not fit a model of width 32"),
        steered(model, [push(model, vector_D=torch.ones(5))]),
    ):
        pass
    assert not any(block.module._forward_hooks for block in blocks(model))
