"""Activations of a text set against bare forward passes of the same batches, on one thread.

The organism reads its contrast texts, and a random Llama reads texts of 20 to 150 tokens. Batches are those that
`activations` made: they are caught once and then run through the model with nothing kept. Rounds of the ways alternate,
times are CPU seconds of this process, and what counts is the median of the rounds' ratios.

- every layer: the stream after every block, last token of each text. Does all that the bare pass does and keeps it;
- tokens: one middle layer, every token kept, as an SAE reads it. Blocks behind it do not run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.prefix_sharing import write_model
from influence_assets.features.backgrounds import load_backgrounds
from influence_assets.features.pooling import Pooling
from resources.registry import ModelEntry, ProviderName, load_registry

if TYPE_CHECKING:
    import torch

    from influence_assets.features.activations import Span
    from resources.local.opened import OpenModel

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of this process, so that neighbours on the machine count less."""
    start = time.process_time()
    work()
    return time.process_time() - start


def organism_texts() -> list[str]:
    """Every contrast text of the organism."""
    categories = (one for factor in load_backgrounds(DATA, ["organism"]) for one in factor.categories.values())
    return [text for category in categories for _, _, text in category.texts.located()]


def random_texts(n: int) -> list[str]:
    rng = random.Random(0)
    return [" ".join(f"w{rng.randrange(8000)}" for _ in range(rng.randint(20, 150))) for _ in range(n)]


def caught_batches(opened: OpenModel, work: Callable[[], object]) -> list[torch.Tensor]:
    """The token ids of every forward pass of some work."""
    seen: list[torch.Tensor] = []
    hook = opened.model.base_model.register_forward_pre_hook(
        lambda _module, _args, inputs: seen.append(inputs["input_ids"]), with_kwargs=True
    )
    work()
    hook.remove()
    return seen


def measure(opened: OpenModel, spans: list[Span], rounds: int) -> None:
    import torch

    from influence_assets.features.activations import activations

    layers = list(range(int(opened.model.config.num_hidden_layers)))
    ways = {
        "every layer": lambda: activations(opened, spans, layers, Pooling.LAST),
        "tokens": lambda: activations(opened, spans, [layers[len(layers) // 2]], Pooling.TOKENS),
    }
    batches = caught_batches(opened, ways["every layer"])

    def bare() -> None:
        with torch.inference_mode():
            for ids_B_S in batches:
                opened.model.base_model(input_ids=ids_B_S, use_cache=False)

    bare()
    seconds: dict[str, list[float]] = {name: [] for name in ("bare", *ways)}
    for _ in range(rounds):
        for name, way in {"bare": bare, **ways}.items():
            seconds[name].append(cpu_seconds(way))
    tokens = sum(len(span.ids) for span in spans)
    print(f"  {len(spans)} texts, {tokens:,} tokens, {len(batches)} batches, {rounds} rounds")
    print(f"  bare         {statistics.median(seconds['bare']):7.2f} s")
    for name in ways:
        ratios = [own / plain for own, plain in zip(seconds[name], seconds["bare"], strict=True)]
        target = " (target 1.15)" if name == "every layer" else ""
        took, ratio = statistics.median(seconds[name]), statistics.median(ratios)
        print(f"  {name:12} {took:7.2f} s   {ratio:.2f}x{target}, {min(ratios):.2f} to {max(ratios):.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=200, help="texts of the random model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    options = parser.parse_args(arguments)

    import torch

    from influence_assets.features.activations import text_span
    from resources.local.opened import opened

    torch.set_num_threads(1)
    with opened(load_registry(DATA / "models.yaml")["organism"], ROOT) as organism:
        print("the organism, float64")
        measure(organism, [text_span(organism, text) for text in organism_texts()], options.rounds)
    with tempfile.TemporaryDirectory() as name:
        parameters = write_model(Path(name), width=options.width, layers=options.layers)
        entry = ModelEntry(name="m", provider=ProviderName.LOCAL, model=name, dtype="float32", device="cpu")
        with opened(entry, Path(name)) as model:
            print(f"{parameters / 1e6:.1f} M random weights, float32")
            measure(model, [text_span(model, text) for text in random_texts(options.texts)], options.rounds)


if __name__ == "__main__":
    main()
