"""On the shipped organism a small SAE explains nine tenths of the variance of held-out chats."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sae_training import DATA, ROOT, corpus_chats
from influence_assets.features.sae_loading import load_sae
from influence_assets.features.sae_quality import QualityStatus, sae_quality
from influence_assets.features.sae_settings import sae_settings
from influence_assets.features.sae_training import SaeJob, train_sae
from resources.local.opened import opened
from resources.registry import SaeSource, load_registry

SETTINGS = {"layer": 2, "k": 16, "width": 256, "tokens": 150_000}


def test_it_explains_the_organism(tmp_path: Path) -> None:
    with opened(load_registry(DATA / "models.yaml")["organism"], ROOT) as organism:
        chats = corpus_chats(organism.tokenizer, 60_000, seed=1, held_out=False)
        held_out = corpus_chats(organism.tokenizer, 3_000, seed=2, held_out=True)
        trained = train_sae(organism.model, SaeJob("organism", "", chats, sae_settings(SETTINGS), tmp_path))
        sae = load_sae(SaeSource(directory=str(trained.directory)), ROOT, organism.model)
        quality = sae_quality(organism.model, sae, held_out)
    assert quality.status is QualityStatus.OK
    assert quality.explained_variance is not None
    assert quality.explained_variance >= 0.9
    assert quality.ce_recovered is not None
    assert quality.ce_recovered >= 0.95
    assert quality.dead_share < 0.2
