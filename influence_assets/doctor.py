"""`influence doctor`: whether this machine has what the study needs. It sends nothing anywhere."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from rich.console import Console
from rich.text import Text

from influence_assets.doctor_files import read_all
from influence_assets.doctor_machines import examine_machines
from influence_assets.landing import package_versions
from influence_assets.project import Project
from resources.errors import InputError, printable
from resources.messages import Role
from resources.registry import ModelEntry, ProviderName

MIN_FREE_GIB = 2.0
_TRAINING_JUDGES = (Role.PREFERENCE, Role.VETO)


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    good: bool
    text: str


def examine(project: Project, console: Console) -> int:
    """Print what is there and what is missing, line by line as it is found; 0 when nothing is missing, else 2."""
    bad = 0
    for finding in findings(project):
        mark = Text("ok   ", style="green") if finding.good else Text("fix  ", style="bold red")
        console.print(mark + Text(printable(finding.text)), soft_wrap=True)
        bad += not finding.good
    return 2 if bad else 0


def findings(project: Project) -> Iterator[Finding]:
    """Versions, disk, GPU, study and models, data files, machines, roles and keys, in this order."""
    yield Finding(True, f"Python {sys.version.split()[0]}, " + ", ".join(f"{n} {v}" for n, v in package_versions()))
    yield from _wrong_versions()
    yield _disk(project)
    yield Finding(True, _gpu())
    try:
        study, registry = project.study, project.registry
    except InputError as error:
        yield Finding(False, str(error))
        return
    counts, complaints = read_all(project)
    in_data = ", ".join(f"{n} {what}" for what, n in counts.items())
    yield Finding(True, f"study {study.name}; in data/: {in_data}")
    yield from (Finding(False, complaint) for complaint in complaints)
    yield from (Finding(good, text) for good, text in examine_machines(project))
    yield from _roles(project)
    for entry in registry.models:
        yield _model(project, entry)


def _wrong_versions() -> Iterator[Finding]:
    for line in importlib.metadata.requires("influence-assets") or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if not found or not needed.specifier.contains(found, prereleases=True):
            state = f"{needed.name} {found} is installed" if found else f"{needed.name} is not installed"
            fix = f"pip install -c constraints.txt {needed.name}"
            yield Finding(False, f"{state}, and {needed.specifier or 'any version'} is needed; {fix}")


def _disk(project: Project) -> Finding:
    if not os.access(project.data, os.W_OK):
        return Finding(False, f"{project.data} cannot be written to; mend its rights, or work in a copy")
    free = shutil.disk_usage(project.root).free / 2**30
    if free < MIN_FREE_GIB:
        return Finding(False, f"{free:.1f} GiB free in the project folder; make room for {MIN_FREE_GIB:.0f} at least")
    return Finding(True, f"{free:.0f} GiB free in the project folder")


def _gpu() -> str:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed: no local models"
    import torch

    if not torch.cuda.is_available():
        return "no GPU: local models run on the CPU"
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    more = f" and {torch.cuda.device_count() - 1} more" if torch.cuda.device_count() > 1 else ""
    return f"GPU: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB{more}"


def _roles(project: Project) -> Iterator[Finding]:
    study, known = project.study, {entry.name: entry for entry in project.registry.models}
    for role, names in study.roles.items():
        for name in names:
            place = f"data/study.yaml: roles.{role.value}: {name}"
            if name not in known:
                yield Finding(False, f"{place}: no such model; data/models.yaml has: {', '.join(known)}")
            elif role not in known[name].roles:
                yield Finding(False, f"{place}: may not play it; add {role.value} to its roles in data/models.yaml")
    both = set(study.roles.get(Role.EVALUATION_JUDGE, ())) & {
        name for role in _TRAINING_JUDGES for name in study.roles.get(role, ())
    }
    for name in sorted(both):
        yield Finding(True, f"note: {name} judges training and evaluation alike; better two different models")


def _model(project: Project, entry: ModelEntry) -> Finding:
    if entry.provider is ProviderName.LOCAL:
        return _local_model(project, entry)
    defaults = {ProviderName.OPENAI: "OPENAI_API_KEY", ProviderName.ANTHROPIC: "ANTHROPIC_API_KEY"}
    variable = entry.api_key_env or defaults.get(entry.provider)
    if variable is None:
        return Finding(True, f"model {entry.name}: no key that we know of")
    if os.environ.get(variable):
        return Finding(True, f"model {entry.name}: key in {variable}")
    if entry.base_url and not entry.api_key_env:
        return Finding(True, f"model {entry.name}: {entry.base_url} without a key")
    fix = f"export {variable}=..., or name the variable that holds the key as api_key_env in data/models.yaml"
    return Finding(False, f"model {entry.name}: the environment has no {variable}; {fix}")


def _local_model(project: Project, entry: ModelEntry) -> Finding:
    from resources.local.weights import check_weights, directory_here

    try:
        folder = directory_here(entry, project.root)
        if folder is None:
            return Finding(True, f"model {entry.name}: {entry.model} from the hub, fetched when it is first used")
        check_weights(folder, entry)
    except InputError as error:
        return Finding(False, str(error))
    if entry.sae is not None and entry.sae.directory and not (project.root / entry.sae.directory).is_dir():
        place = f"data/models.yaml: models[{entry.name}].sae.directory: {entry.sae.directory}"
        return Finding(False, f"{place}: there is no such directory; mend the path, or leave sae out to train one")
    return Finding(True, f"model {entry.name}: in {entry.model}")
