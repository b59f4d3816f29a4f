"""`influence doctor`: whether this machine has what the study needs. It sends nothing anywhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from influence_assets.landing import package_versions
from influence_assets.partitions import framework_keys
from influence_assets.personas.frameworks import load_frameworks
from influence_assets.project import Project
from resources.errors import InputError
from resources.prompts import load_prompt
from resources.registry import ModelEntry, ProviderName

MIN_FREE_GIB = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    good: bool
    text: str


def examine(project: Project, console: Console) -> int:
    """Print what is there and what is missing; 0 when nothing is missing, else 2."""
    bad = 0
    for finding in findings(project):
        mark = Text("ok   ", style="green") if finding.good else Text("fix  ", style="bold red")
        console.print(mark + Text(finding.text))
        bad += not finding.good
    return 2 if bad else 0


def findings(project: Project) -> Iterator[Finding]:
    """Versions, disk, GPU, data files and keys, in this order."""
    yield Finding(True, f"Python {sys.version.split()[0]}, " + ", ".join(f"{n} {v}" for n, v in package_versions()))
    free = shutil.disk_usage(project.root).free / 2**30
    yield Finding(free >= MIN_FREE_GIB, f"{free:.0f} GiB free in the project folder (at least {MIN_FREE_GIB:.0f})")
    yield Finding(True, _gpu())
    try:
        study, registry = project.study, project.registry
        frameworks = load_frameworks(project.data / "frameworks")
        for path in sorted(project.prompts.rglob("*.yaml")):
            load_prompt(path)
    except InputError as error:
        yield Finding(False, str(error))
        return
    personas = sum(len(framework.personas) for framework in frameworks.values())
    yield Finding(True, f"study {study.name}: {len(frameworks)} frameworks with {personas} personas, all prompts read")
    for slug in study.personas.frameworks:
        known = framework_keys(project.data)
        if slug not in known:
            yield Finding(False, f"data/study.yaml names the framework {slug}, but there are: {', '.join(known)}")
    for role, names in study.roles.items():
        for name in names:
            if name not in [entry.name for entry in registry.models]:
                yield Finding(
                    False, f"data/study.yaml gives {role.value} to {name}, which data/models.yaml does not have"
                )
    yield from (_model(project, entry) for entry in registry.models)


def _gpu() -> str:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    if not torch.cuda.is_available():
        return "no GPU: local models run on the CPU"
    return f"GPU: {torch.cuda.get_device_name(0)}"


def _model(project: Project, entry: ModelEntry) -> Finding:
    if entry.provider is ProviderName.LOCAL:
        folder = project.root / entry.model
        there = (folder / "config.json").is_file()
        return Finding(
            True, f"model {entry.name}: " + (f"in {entry.model}" if there else f"{entry.model} from the hub")
        )
    defaults = {ProviderName.OPENAI: "OPENAI_API_KEY", ProviderName.ANTHROPIC: "ANTHROPIC_API_KEY"}
    variable = entry.api_key_env or defaults[entry.provider]
    if os.environ.get(variable):
        return Finding(True, f"model {entry.name}: key in {variable}")
    if entry.base_url and not entry.api_key_env:
        return Finding(True, f"model {entry.name}: {entry.base_url} without a key")
    return Finding(False, f"model {entry.name}: the environment has no {variable}")
