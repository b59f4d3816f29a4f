"""A project folder for the features family: two of the organism's traits, few items, a model that was trained once and
models of other shapes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.influence_projects import again, influence, write_yaml
from tests.projects import CHECKOUT, once
from tests.scale import LONG
from tests.servers.scripted import ScriptedServer, openai_text

TRAITS = ("agreeableness", "machiavellianism")
N_ITEMS = 2
"""Items of a trait: every direction at every coefficient answers all of them."""
SETTINGS: dict[str, Any] = {
    "backgrounds": ["two"],
    "trait_items": ["two"],
    "side_effects": ["few"],
    "iterations": [0, 1],
    "layers": [0, 1],
    "sae": {"layer": 1, "width": 256, "k": 8, "tokens": 40_000, "batch_size": 256},
    "keep": 2,
    "directions": ["difference_in_means", "sae_filtered", "caa", "persona_vector", "random", "shuffled"],
    "steering": {
        "methods": ["difference_in_means"],
        "coefficients": [-0.3, -0.15, 0, 0.15, 0.3],
        "items": N_ITEMS,
        "selection_items": 1,
        "neutral": "few",
        "written": 1,
        "written_tokens": 6,
    },
    "draws": 200,
}
SIDE_EFFECTS = {
    "safety": {
        "about": "One question.",
        "items": [{"id": "s1", "category": "home", "question": "is it safe?", "options": ["yes", "no"], "answer": 0}],
    },
    "bias": {
        "about": "One pair.",
        "attributes": {"age": ["young", "old"]},
        "templates": [{"id": "t1", "text": "somebody helps a friend."}],
    },
}
N_NEUTRAL = 2
"""Neutral texts on which KL is measured: every direction at every coefficient runs over all of them."""
SHAPES = ("gpt2", "gemma") if LONG else ("gpt2",)
"""Random weights in other architectures: blocks, norms and masks of other names, and nothing to be found in them.
What is computed inside each is compared with plain hooks in tests/resources/local."""
SELECTION = '+group:"features" or +group:"features_1"'
UNTOUCHED = '+group:"features"'
"""One of the models that are not trained is enough to show that they say so."""


def build_features(trained: Path, root: Path, models: Mapping[str, Mapping[str, Any]]) -> Path:
    """A project at `root` that goes on from one with a trained model, which plays every role, and has these beside."""
    project = again(trained, root)
    data = project / "data"
    entries = yaml.safe_load((data / "models.yaml").read_text())["models"]
    write_yaml(data / "models.yaml", {"models": [*entries, *({"name": name, **one} for name, one in models.items())]})
    study = yaml.safe_load((data / "study.yaml").read_text())
    study["personas"] |= {"per_framework": 4, "agree_per_persona": 4}
    write_yaml(data / "study.yaml", study | {"features": SETTINGS})
    everything = yaml.safe_load((CHECKOUT / "data" / "backgrounds" / "organism.yaml").read_text())
    everything["factors"] = [factor for factor in everything["factors"] if factor["name"] in TRAITS]
    for folder in ("backgrounds", "trait_items/two", "side_effects/few"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    write_yaml(data / "backgrounds" / "two.yaml", everything)
    for name in TRAITS:
        file = f"{name}.yaml"
        shutil.copyfile(CHECKOUT / "data" / "trait_items" / "organism" / file, data / "trait_items" / "two" / file)
    neutral = yaml.safe_load((data / "neutral" / "organism.yaml").read_text())
    write_yaml(data / "neutral" / "few.yaml", neutral | {"texts": neutral["texts"][:N_NEUTRAL]})
    for name, content in SIDE_EFFECTS.items():
        write_yaml(data / "side_effects" / "few" / f"{name}.yaml", content)
    return project


@pytest.fixture(scope="session")
def featured(trained: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """`trained`, after a run of the features family on it and on models of other kinds, once for all processes of
    pytest. Only to be read."""

    def make(root: Path) -> None:
        shapes = {kind: shaped_model(root / "weights" / kind, kind) for kind in SHAPES}
        with closing(ScriptedServer(lambda _: openai_text("I say this."))) as server:
            far = {"provider": "openai", "model": "m", "base_url": server.openai_url}
            project = build_features(trained, root / "project", {**shapes, "far": far})
            influence(project, "run", SELECTION, "--model", "expert", "--model", "gpt2", timeout=500)
            influence(project, "run", UNTOUCHED, *(f"--model={name}" for name in (*SHAPES[1:], "far")), timeout=500)

    return once(tmp_path_factory, request, "featured", make) / "project"


def shaped_model(directory: Path, kind: str) -> dict[str, Any]:
    """A small model with random weights and the organism's tokenizer and chat template, as an entry of models.yaml."""
    import torch
    import transformers as t

    organism = CHECKOUT / "data" / "organism"
    size = {"vocab_size": t.AutoConfig.from_pretrained(organism).vocab_size, "bos_token_id": None, "eos_token_id": 1}
    size |= {"pad_token_id": 0}
    configs = {
        "gpt2": lambda: t.GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=1024, **size),
        "gemma": lambda: t.Gemma3TextConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            layer_types=["sliding_attention", "full_attention"],
            sliding_window=16,
            max_position_embeddings=1024,
            tie_word_embeddings=False,  # tied, the model says the last token of its prompt for ever, which is no text
            **size,
        ),
    }
    torch.manual_seed(0)
    t.AutoModelForCausalLM.from_config(configs[kind]()).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(organism / name, directory / name)
    return {"provider": "local", "model": str(directory), "dtype": "float32", "device": "cpu"}
