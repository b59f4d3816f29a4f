"""`influence new-states`: from a project and the name of an environment to more lines in its states file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from influence_assets.influence.loading import FAMILY_FILE, STATES_SUFFIX, Family, load_family
from influence_assets.influence.new_states import NewStates, new_states
from influence_assets.influence.state_files import append_states
from influence_assets.progress import reporter
from influence_assets.project import Project
from resources.errors import InputError
from resources.messages import Role


@dataclass(frozen=True)
class Written:
    """How many states were added to which file, how many are missing, and how often something was rejected and why."""

    path: Path
    n: int
    shortfall: int
    rejected: Mapping[str, int]


def write_new_states(project: Project, environment: str, *, n: int, seed: int) -> Written:
    """Have the study's generator, the first where there are several, write n initial states, and append them at once.

    A run that was stopped asks only for what is not in the response cache. Raises `InputError` for n below 1, for an
    unknown environment and for one that does not load; `BudgetError`, with nothing added, when the budget is used up.
    """
    if n < 1:
        raise InputError("is no number of states", field="n", value=n, fix="ask for at least one")
    folder = _folder(project.data / "environments", environment)
    family = load_family(folder, {path.stem for path in (project.data / "judges").glob("*.yaml")})
    found = asyncio.run(_asked(project, family, environment, n, seed))
    path = folder / f"{environment}{STATES_SUFFIX}"
    if found.states:
        append_states(path, found.states)
    return Written(path, len(found.states), found.shortage, found.rejected)


def _folder(root: Path, environment: str) -> Path:
    """The family's folder. The name is compared with those of files, so that it can lead nowhere else."""
    families = sorted(path.parent for path in root.glob(f"*/{FAMILY_FILE}"))
    files = [path for folder in families for path in sorted(folder.glob("*.yaml")) if path.name != FAMILY_FILE]
    folders = [path.parent for path in files if path.stem == environment]
    if not folders:
        known = ", ".join(path.stem for path in files) or "none"
        raise InputError("no such environment", place=root, value=environment, fix=f"there are: {known}")
    if len(folders) > 1:
        both = " and ".join(folder.name for folder in folders)
        raise InputError(f"is in {both}", place=root, value=environment, fix="rename one of them")
    return folders[0]


async def _asked(project: Project, family: Family, environment: str, n: int, seed: int) -> NewStates:
    from resources.models import open_models

    async with open_models(
        project.registry,
        project.replies,
        root=project.root,
        run_id=f"new-states-{uuid4().hex}",
        asset="new_states",
        partition=environment,
        budget_usd=project.study.budget_usd,
    ) as models:
        return await new_states(
            family,
            environment,
            n,
            models,
            generator=project.study.roles[Role.GENERATOR][0],
            prompts=project.prompts / "influence",
            seed=seed,
            on_progress=reporter(f"new states of {environment}", lambda _: None),
        )
