"""Project folders for the influence family: one family of the organism's environments, so small that a run takes
seconds, and what a test wants to know of such a folder afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import duckdb
import pytest
import yaml

from tests import forked
from tests.projects import CHECKOUT, COPIED, FEATURES, environment, once

SELECTION = 'key:"influence/*"'
ENVIRONMENTS = ("organism_health_vulnerable", "organism_health_ordinary")
ORGANISM = {"provider": "local", "model": "data/organism", "dtype": "float64", "device": "cpu"}
"""An entry of models.yaml without its name."""

SMALL: dict[str, Any] = {
    "families": ["organism"],
    "iterations": 1,
    "rollouts": {"states": 1, "samples": 2, "eval_states": 1, "max_turns": 1},
    "selection": {"by": "initial_state", "best": 0.5, "worst": 0.5},
    "training": {"lora": {"rank": 4, "alpha": 8}, "learning_rate": 0.003, "epochs": 1, "batch_size": 4, "warmup": 0},
    "evaluation": {"rubrics": ["harm"]},
    "min_mass": 0.0,  # whatever the organism makes of these prompts, its answers count
    "draws": 100,
}

JOINT = {"personas": 2, "test_per_persona": 2, "items": 2, "draws": 100}


def build(
    root: Path,
    models: Mapping[str, Mapping[str, Any]],
    influence: Mapping[str, Any] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """A project at `root`: these models, the first of which plays every role that `roles` does not give away."""
    data = root / "data"
    for name in (name for name in COPIED if name != "environments"):
        shutil.copytree(CHECKOUT / "data" / name, data / name)
    shutil.copyfile(CHECKOUT / "data" / "aspects.yaml", data / "aspects.yaml")
    source, target = CHECKOUT / "data" / "environments" / "organism", data / "environments" / "organism"
    target.mkdir(parents=True)
    for file in ("family.yaml", *(f"{one}{end}" for one in ENVIRONMENTS for end in (".yaml", ".states.jsonl"))):
        shutil.copyfile(source / file, target / file)
    entries = [{"name": name, **entry} for name, entry in models.items()]
    write_yaml(data / "models.yaml", {"models": entries})
    study = yaml.safe_load((CHECKOUT / "data" / "study.yaml").read_text())
    study["roles"] = {role: [next(iter(models))] for role in study["roles"]} | {
        role: list(players) for role, players in (roles or {}).items()
    }
    study["influence"] = SMALL | dict(influence or {})
    study["influence"]["training"] = {"python": str(forked.interpreter())} | study["influence"]["training"]
    study |= {"features": FEATURES, "joint": JOINT}
    write_yaml(data / "study.yaml", study)
    return root


def build_trained(root: Path) -> Path:
    """A project with one model, `expert`, that is trained once."""
    return build(root, {"expert": ORGANISM | {"trainable": True}})


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """`build_trained` after a whole run of the loop, once for all processes of pytest. Only to be read."""
    return once(tmp_path_factory, request, "trained", lambda root: influence(build_trained(root), "run", SELECTION))


def again(project: Path, root: Path, **influence: Any) -> Path:
    """A copy of a project with all that it has landed and cached; `influence` changes its study."""
    shutil.copytree(project, root, ignore=shutil.ignore_patterns(".dagster"))
    study = yaml.safe_load((root / "data" / "study.yaml").read_text())
    study["influence"] |= influence
    write_yaml(root / "data" / "study.yaml", study)
    return root


def write_yaml(path: Path, content: object) -> None:
    """JSON is YAML, and has no aliases, which our files do not allow."""
    path.write_text(json.dumps(content, indent=1))


def influence(
    project: Path, *arguments: str, check: bool = True, keys: Mapping[str, str] | None = None, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    """The command line in that project; `keys` are further environment variables."""
    done = forked.run(arguments, cwd=project, env=environment(project) | dict(keys or {}), timeout=timeout)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    """What plain DuckDB reads from the published catalogue."""
    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def landed(project: Path, partition: str = "") -> dict[str, str]:
    """Data version of every landed partition outside the ledger: equal versions are equal bytes."""
    versions = {}
    for pointer in (project / "data" / "warehouse" / "pointers").rglob("*.json"):
        found = json.loads(pointer.read_text())
        values = "/".join(found["partition"].values())
        if not pointer.parent.name.startswith("ledger") and partition in values:
            versions[f"{pointer.parent.name} {values}"] = found["data_version"]
    return versions


def last_runs(project: Path, n: int) -> str:
    """SQL list of the newest `n` Dagster runs."""
    found = rows(
        project, f"SELECT run_id FROM ledger.materializations GROUP BY 1 ORDER BY min(started_at) DESC LIMIT {n}"
    )
    return "(" + ", ".join(f"'{run}'" for (run,) in found) + ")"


def reused(project: Path, n_runs: int) -> dict[str, bool]:
    """By `asset partition`: whether the newest runs kept the rows that were there."""
    return dict(
        rows(
            project,
            f"""SELECT asset || ' ' || partition, bool_and(reused) FROM ledger.materializations
                WHERE run_id IN {last_runs(project, n_runs)} GROUP BY 1""",
        )
    )


def asked(project: Path, n_runs: int) -> int:
    """Questions of the newest runs that no cache answered."""
    query = f"SELECT count(*) FROM ledger.requests WHERE NOT cached AND run_id IN {last_runs(project, n_runs)}"
    return int(rows(project, query)[0][0])


def paid_twice(project: Path) -> list[tuple[Any, ...]]:
    return rows(project, "SELECT request_id FROM ledger.requests WHERE NOT cached GROUP BY 1 HAVING count(*) > 1")


class Seen(NamedTuple):
    """What Dagster shows of one asset in the newest run of one partition."""

    metadata: Mapping[str, Any]
    checks: Mapping[str, bool]


def seen(project: Path, partition: str, asset: str) -> Seen:
    """Metadata by label, and checks by name with whether they passed."""
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": partition}))
        # A framework or a family of the same name has runs of its own.
        run = next(one for one in runs if asset in {key.path[-1] for key in one.asset_selection or ()})
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
    made = [one.event_specific_data.materialization for one in events if one.is_step_materialization]
    checked = [one.asset_check_evaluation_data for one in events if one.event_type_value == "ASSET_CHECK_EVALUATION"]
    metadata = [one.metadata for one in made if one.asset_key.path[-1] == asset]
    return Seen(
        {label: value.value for one in metadata for label, value in one.items()},
        {one.check_name: one.passed for one in checked if one.asset_key.path[-1] == asset},
    )
