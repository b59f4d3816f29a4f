"""Reading environment families from `data/environments/<family>/`, with every complaint at its file and line.

`family.yaml` holds what the environments of a family share. Every other YAML file is one environment and may override
any field: mappings are merged field by field, everything else is replaced. `<environment>.states.jsonl` holds its
initial states, one JSON object a line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from influence_assets.influence.environment_checks import Problem, problems, state_problems
from influence_assets.influence.environments import Environment, InitialState
from influence_assets.influence.strict_json import strict_json
from influence_assets.influence.texts import At, filled
from resources.content import Json
from resources.errors import InputError
from resources.yamlfiles import dotted, first_problem, line_of, read_tree

__all__ = ["Family", "filled", "load_families", "load_family", "parse_state"]

FAMILY_FILE = "family.yaml"
STATES_SUFFIX = ".states.jsonl"
MAX_STATE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Family:
    """A folder of environments. `environments` and `states` are by environment name, in order of name."""

    name: str
    environments: dict[str, Environment]
    states: dict[str, tuple[InitialState, ...]] = field(repr=False)


def load_families(data: Path, names: Sequence[str]) -> dict[str, Family]:
    """The named families under `data/environments/`, checked together: environment names are unique over families."""
    root, rubrics = data / "environments", {path.stem for path in (data / "judges").glob("*.yaml")}
    known = sorted(path.parent.name for path in root.glob(f"*/{FAMILY_FILE}"))
    owner: dict[str, str] = {}
    found: dict[str, Family] = {}
    for name in dict.fromkeys(names):
        # Names are looked up, never put together to a path, so that none can lead elsewhere.
        if name not in known:
            there = ", ".join(known) or "none"
            raise InputError("no such family of environments", place=root, value=name, fix=f"there are: {there}")
        found[name] = load_family(root / name, rubrics)
        for environment in found[name].environments:
            if environment in owner:
                raise InputError(
                    f"the families {owner[environment]} and {name} both have an environment of this name",
                    place=root / name / f"{environment}.yaml",
                    value=environment,
                    fix="rename one of them",
                )
            owner[environment] = name
    return found


def load_family(root: Path, rubrics: Collection[str] | None = None) -> Family:
    """One family. `rubrics` are the names that `harm` may use; unchecked when absent. Raises `InputError`."""
    shared = _read(root / FAMILY_FILE)
    names = _names(root)
    environments, states = {}, {}
    for name in names:
        both = _over(shared, _read(root / f"{name}.yaml"))
        environment = _environment(both, name, root.name)
        for problem in problems(environment, rubrics):
            raise _error(problem, both.place(problem.at))
        environments[name] = environment
        path = root / f"{name}{STATES_SUFFIX}"
        states[name] = _states(path, environment) if path.exists() else ()
        if not states[name]:
            raise InputError("has no initial states", place=root / f"{name}.yaml", fix=f"write {path.name}")
    return Family(root.name, environments, states)


def _names(root: Path) -> list[str]:
    """Names of the environments in a folder; hidden files, as editors leave them, are none."""
    files = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    names = [path.stem for path in files if path.suffix == ".yaml" and path.name != FAMILY_FILE]
    for path in files:
        if path.suffix == ".yml":
            raise InputError("is not read", place=path, fix="name it .yaml")
        if path.name.endswith(STATES_SUFFIX) and path.name.removesuffix(STATES_SUFFIX) not in names:
            fix = f"write {path.name.removesuffix(STATES_SUFFIX)}.yaml, or remove the file"
            raise InputError("belongs to no environment", place=path, fix=fix)
    if not names:
        raise InputError("holds no environment", place=root, fix="write one YAML file per environment in it")
    return names


@dataclass(frozen=True)
class _Tree:
    """Plain values with the file and line of each; `path` is the file that was read last."""

    path: Path
    values: dict[str, Json]
    places: dict[At, str]

    def place(self, at: At) -> str:
        """Where a field stands, or the nearest one around it that is written down."""
        return next((self.places[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.places), f"{self.path}:1")


def _read(path: Path) -> _Tree:
    values, lines = read_tree(path)
    if not isinstance(values, dict):
        raise InputError("is not a list of fields with values", place=f"{path}:1", fix="write `field: value` lines")
    for name in ("name", "family"):
        if name in values:
            place = f"{path}:{line_of(lines, (name,))}"
            raise InputError("is given by file and folder", place=place, field=name, fix="remove it")
    return _Tree(path, values, {at: f"{path}:{line}" for at, line in lines.items() if at})


def _over(below: _Tree, above: _Tree) -> _Tree:
    """Mappings merge field by field; anything else of `above` replaces what is below, and so do its places."""
    replaced = set[At]()

    def merged(under: dict[str, Json], over: dict[str, Json], at: At) -> dict[str, Json]:
        result = dict(under)
        for key, value in over.items():
            old = under.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                result[key] = merged(old, value, (*at, key))
            else:
                result[key] = value
                replaced.add((*at, key))
        return result

    values = merged(below.values, above.values, ())
    kept = {
        at: place for at, place in below.places.items() if not any(at[:n] in replaced for n in range(1, len(at) + 1))
    }
    return _Tree(above.path, values, kept | above.places)


def _environment(both: _Tree, name: str, family: str) -> Environment:
    try:
        return Environment.model_validate({**both.values, "name": name, "family": family})
    except ValidationError as error:
        raise first_problem(error, both.place) from None


def _error(problem: Problem, place: str | Path) -> InputError:
    return InputError(problem.text, place=place, field=dotted(problem.at), value=problem.value, fix=problem.fix)


def _states(path: Path, environment: Environment) -> tuple[InitialState, ...]:
    try:
        if path.stat().st_size > MAX_STATE_BYTES:
            raise InputError("is larger than 256 MiB", place=path, fix="split the environment")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, fix="mend the file or its rights") from None
    except UnicodeDecodeError as error:
        at = error.object.count(b"\n", 0, error.start) + 1
        bad = error.object[error.start :][:8]
        raise InputError("is not UTF-8", place=f"{path}:{at}", value=bad, fix="save it so") from None
    found: dict[str, InitialState] = {}
    # Only a line feed ends a line: other separators may stand inside of texts.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{path}:{number}"
            state = parse_state(line, environment, place)
            if state.id in found:
                raise InputError("the id stands twice", place=place, field="id", value=state.id, fix="make it unique")
            found[state.id] = state
    return tuple(found.values())


def parse_state(line: str, environment: Environment, place: str) -> InitialState:
    """One initial state from its JSON line, checked against its environment; raises `InputError` at `place`."""
    try:
        tree = strict_json(line)
    except ValueError as error:
        fix = "write one JSON object a line"
        raise InputError(f"is not JSON: {error}", place=place, value=line[:80], fix=fix) from None
    try:
        state = InitialState.model_validate(tree)
    except ValidationError as error:
        raise first_problem(error, lambda _: place) from None
    for problem in state_problems(environment, state):
        raise _error(problem, place)
    try:
        state.model_dump_json()
    except ValueError:  # pydantic's way to say that a string cannot be UTF-8
        raise InputError("holds half a surrogate pair", place=place, fix="write the whole character") from None
    return state
