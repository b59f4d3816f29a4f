"""Training an SAE on the organism's chats, against bare forward passes over the same chats, on one thread.

Chats of the organism's own corpus go through the shipped model once without anything around it: that is the measure.
Then an SAE of one layer is trained on them, its steps and the activations it reads timed apart, and the directory is
loaded without and with sae-lens. Quality is that on held-out chats. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from influence_assets.features.sae_settings import sae_settings
from influence_assets.features.sae_text import ChatTokens, chat_tokens
from influence_assets.features.sae_training import SaeJob, train_sae
from influence_assets.organism.corpus import Corpus, Prompts
from influence_assets.organism.speakers import Draw
from influence_assets.organism.world import load_world
from resources.local.opened import opened
from resources.registry import SaeSource, load_registry

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"


def corpus_chats(tokenizer: PreTrainedTokenizerBase, tokens: int, *, seed: int, held_out: bool) -> ChatTokens:
    """Chats of all of the organism's tasks with the answers it should give, scored on those."""
    corpus = Corpus(Draw(load_world(DATA), random.Random(seed), held_out=held_out), Prompts(DATA))
    rows: list[list[int]] = []
    prompts: list[int] = []
    for document in corpus.documents():
        stem = "".join(piece.text for piece in document.stem)
        for branch in document.branches:
            text = stem + "".join(piece.text for piece in branch)
            asked = text.rindex("<|assistant|>") + len("<|assistant|>")
            encoding = tokenizer.backend_tokenizer.encode(text)
            rows.append(encoding.ids)
            prompts.append(sum(end <= asked for _, end in encoding.offsets))
        if sum(map(len, rows)) >= tokens:
            return chat_tokens(rows, 1024, prompts=prompts)
    raise AssertionError("the corpus has no end")


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of this process, so that neighbours on the machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def forward_passes(model: PreTrainedModel, chats: ChatTokens) -> None:
    """Every chat once through the whole model, logits included."""
    import numpy as np
    import torch

    from influence_assets.features.sae_activations import model_inputs
    from influence_assets.features.sae_text import padded_batches

    with torch.inference_mode():
        for batch in padded_batches(chats, np.arange(len(chats.rows))):
            model(**model_inputs(batch, model.device))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=int, default=100_000, help="tokens of distinct chats")
    parser.add_argument("--held-out", type=int, default=10_000, help="tokens of the chats that quality is measured on")
    parser.add_argument("--settings", nargs="*", default=["layer=2", "k=16"], help="field=value of the SAE's settings")
    options = parser.parse_args(arguments)

    import torch

    from influence_assets.features.sae_activations import chat_activations
    from influence_assets.features.sae_loading import load_sae
    from influence_assets.features.sae_quality import sae_quality

    torch.set_num_threads(1)
    imported = cpu_seconds(lambda: __import__("sae_lens"))
    settings = sae_settings(dict(pair.split("=") for pair in options.settings))
    with (
        opened(load_registry(DATA / "models.yaml")["organism"], ROOT) as organism,
        tempfile.TemporaryDirectory() as name,
    ):
        model = organism.model
        chats = corpus_chats(organism.tokenizer, options.text, seed=1, held_out=False)
        held_out = corpus_chats(organism.tokenizer, options.held_out, seed=2, held_out=True)
        forward_passes(model, held_out)
        bare = cpu_seconds(lambda: forward_passes(model, chats)) / chats.n_tokens
        read = cpu_seconds(lambda: chat_activations(model, settings.layer, chats))
        job = SaeJob("organism", "", chats, settings, Path(name))
        whole = cpu_seconds(lambda: train_sae(model, job))
        source = SaeSource(directory=name)
        lean = cpu_seconds(lambda: load_sae(source, ROOT, model))
        sae = load_sae(source, ROOT, model)
        quality = sae_quality(model, sae, held_out)
    trained = settings.steps * settings.batch_size
    per_token = (whole - read) / trained
    print(f"{' '.join(options.settings)}: {trained:,} tokens from {chats.n_tokens:,} of text, width {settings.width}")
    print(f"bare forward pass   {1 / bare:9,.0f} tokens/s")
    print(f"activations         {chats.n_tokens / read:9,.0f} tokens/s   {read:5.1f} s")
    print(f"SAE steps           {1 / per_token:9,.0f} tokens/s   {whole - read:5.1f} s")
    ratio = whole / trained / bare
    print(f"training in all     {trained / whole:9,.0f} tokens/s   {whole:5.1f} s   {ratio:.2f} bare passes a token")
    print(f"load: {lean * 1e3:.0f} ms; importing sae-lens after torch: {imported:.1f} s")
    print(
        f"held out ({quality.n_tokens:,} tokens): explained variance {quality.explained_variance:.3f}, "
        f"L0 {quality.l0:.1f}, dead {quality.dead_share:.3f}, "
        f"cross-entropy {quality.ce_base:.3f}, with SAE {quality.ce_sae:.3f}, ablated {quality.ce_ablated:.3f}"
    )


if __name__ == "__main__":
    main()
