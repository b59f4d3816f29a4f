"""Names are data: as persona, environment, model and partition they are stored and read back exactly, or refused in
one line; no file appears elsewhere, and the SQL that strangers may run stays shut whatever a partition is called."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from influence_assets.influence.loading import load_family
from influence_assets.influence.rows_of import environment_rows, state_rows
from influence_assets.influence.tables import ENVIRONMENTS, INITIAL_STATES
from influence_assets.partitions import family_keys, framework_keys
from influence_assets.personas.describe import personas_of
from influence_assets.personas.frameworks import load_framework, load_frameworks
from influence_assets.personas.tables import PERSONAS
from influence_assets.project import Project
from influence_assets.rows import to_frame
from influence_assets.runs import prepare_home
from influence_assets.tables import ALL_TABLES, MACROS
from resources.errors import InfluenceError, InputError, WarehouseError
from resources.keys import key_problem
from resources.registry import load_registry
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse
from tests import forked
from tests.projects import environment
from tests.scale import scaled
from tests.security.hostile_names import KEYS, NAMES, WHOLE, as_yaml, build, is_file_name, write_family

Record = Callable[[str, object], None]
TABLE = Table(
    "lab.names",
    "One row per model.",
    (Column("model", "VARCHAR", "the model"), Column("text", "VARCHAR", "any text")),
    partition=("model",),
    key=("model", "text"),
)
WHERE = Provenance("run", "code", "inputs", datetime(2026, 1, 1, tzinfo=UTC))
SHUT = (
    "COPY (SELECT 1) TO '{out}'",
    "FROM read_text('/etc/passwd')",
    "FROM glob('{root}/*')",
    "ATTACH '{out}' AS n",
    "SET enable_external_access = true",
    "SELECT getenv('HOME')",
    "SELECT 1; SELECT 2",
)


def refused_in_one_line(error: InputError) -> bool:
    return str(error).isprintable() and bool(error.fix) and len(str(error)) < 2000


def files_of(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


def odd_files(root: Path) -> list[Path]:
    """What lies in a warehouse under a name that is neither a hash nor one of ours."""
    ours = {"influence.duckdb", "publish.lock", "gate.lock", "published.json", "superseded.json", "turns"}
    hexadecimal = set("0123456789abcdef")
    return [p for p in files_of(root) if p.name not in ours and not (len(p.stem) == 64 and set(p.stem) <= hexadecimal)]


def test_there_are_enough_names_of_every_kind() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 200
    assert 190 <= len(KEYS) < len(WHOLE)


def test_every_name_is_a_partition_that_is_read_back_exactly(tmp_path: Path, record_property: Record) -> None:
    warehouse = Warehouse(tmp_path / "data", (TABLE,))
    for name in WHOLE:
        frame = warehouse.frame(TABLE, [{"model": name, "text": name}, {"model": name, "text": name + "!"}])
        warehouse.write(TABLE, {"model": name}, frame, WHERE)
    warehouse.publish()
    assert {found["model"] for found in warehouse.partitions(TABLE)} == set(WHOLE)
    seen = warehouse.query("SELECT model, min(text) AS text, count(*) AS n FROM lab.names GROUP BY model")
    assert {row["model"]: (row["text"], row["n"]) for row in seen.iter_rows(named=True)} == {
        name: (name, 2) for name in WHOLE
    }
    for name in WHOLE[:: scaled(5, 1)]:
        bound = warehouse.query("SELECT count(*) AS n FROM lab.names WHERE model = $name", {"name": name})
        assert bound["n"][0] == 2
    assert odd_files(tmp_path) == []
    before = files_of(tmp_path)
    for attack in SHUT:
        with pytest.raises((InfluenceError, duckdb.Error)):
            warehouse.query(attack.format(out=tmp_path / "out", root=tmp_path))
    assert files_of(tmp_path) == before
    record_property("hostile names", f"{len(WHOLE)} as partitions, read back exactly")


FOLDERS = [name for name in WHOLE if is_file_name(name) and name not in (".", "..")]


@pytest.mark.parametrize("name", FOLDERS[:: scaled(25, 1)], ids=ascii)
def test_a_warehouse_in_a_folder_of_any_name_works_or_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / name / "data"
    if "?" in name:
        with pytest.raises(WarehouseError, match="rename the folder"):
            Warehouse(root, (TABLE,))
        return
    warehouse = Warehouse(root, (TABLE,))
    for model in ("a", "b"):
        warehouse.write(TABLE, {"model": model}, warehouse.frame(TABLE, [{"model": model, "text": "x"}]), WHERE)
    warehouse.publish()
    assert warehouse.query("SELECT count(*) AS n FROM lab.names")["n"][0] == 2
    with duckdb.connect(str(root / "influence.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT model FROM lab.names ORDER BY 1").fetchall() == [("a",), ("b",)]
    assert warehouse.export(tmp_path / f"{name}.out").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.out"}


@pytest.mark.parametrize("name", ["*", "[ab]", "**", "a*", "[!x]"])
def test_a_folder_whose_name_fits_its_neighbours_reads_its_own_rows(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b", name):
        warehouse = Warehouse(tmp_path / folder / "data", (TABLE,))
        warehouse.write(TABLE, {"model": "m"}, warehouse.frame(TABLE, [{"model": "m", "text": "x"}]), WHERE)
        warehouse.publish()
    assert warehouse.query("SELECT count(*) AS n FROM lab.names")["n"][0] == 1
    with duckdb.connect(str(warehouse.catalogue), read_only=True) as connection:
        assert connection.execute("SELECT model, run_id FROM lab.names").fetchall() == [("m", "run")]


def test_every_name_of_a_persona_is_stored_exactly_or_refused(tmp_path: Path, record_property: Record) -> None:
    path = tmp_path / "hostile.yaml"
    taken, refusals = list[str](), list[InputError]()
    for name in WHOLE:
        personas = [{"name": name, "description": "d"}, {"name": "another", "description": "d"}]
        path.write_text(as_yaml({"name": "F", "about": "a", "personas": personas}))
        try:
            load_framework(path)
        except InputError as error:
            refusals.append(error)
        else:
            taken.append(name)
    assert all(map(refused_in_one_line, refusals))
    assert set(WHOLE) - set(taken) == {name for name in WHOLE if not name.strip()}, "only blank names are refused"
    personas = [{"name": name, "description": name} for name in taken]
    path.write_text(as_yaml({"name": "F", "about": "a", "personas": personas}))
    rows = personas_of("hostile", load_framework(path))
    warehouse = Warehouse(tmp_path / "data", ALL_TABLES, MACROS)
    warehouse.write(PERSONAS, {"framework": "hostile"}, to_frame(PERSONAS, rows), WHERE)
    warehouse.publish()
    seen = warehouse.query("SELECT name, description FROM personas.personas ORDER BY position")
    assert list(seen.iter_rows()) == [(name, name) for name in taken]
    record_property("hostile names", f"{len(taken)} as personas, stored exactly; {len(WHOLE) - len(taken)} refused")


def test_every_name_of_an_environment_is_stored_exactly_or_refused(tmp_path: Path, record_property: Record) -> None:
    names = sorted(name for name in WHOLE if is_file_name(name) and name != "family")
    write_family(tmp_path / "toy", names)
    family = load_family(tmp_path / "toy")
    assert sorted(family.environments) == names
    warehouse = Warehouse(tmp_path / "data", ALL_TABLES, MACROS)
    for table, frame in ((ENVIRONMENTS, environment_rows(family)), (INITIAL_STATES, state_rows(family))):
        warehouse.write(table, {"family": "toy"}, frame, WHERE)
    warehouse.publish()
    seen = warehouse.query("SELECT environment, count(*) AS n FROM influence.initial_states GROUP BY 1")
    assert dict(seen.iter_rows()) == dict.fromkeys(names, 8)
    record_property("hostile names", f"{len(names)} as environments; the others no file can have")


# The last is how Python reads a file name that is not UTF-8.
@pytest.mark.parametrize("name", ["a\nb", "a...b", "a\tb", "a\udcfeb"], ids=ascii)
def test_a_file_name_that_cannot_be_a_key_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "frameworks").mkdir()
    (tmp_path / "frameworks" / f"{name}.yaml").write_text("name: F")
    write_family(tmp_path / "environments" / name, ["e"])
    for read in (framework_keys, family_keys, lambda data: load_frameworks(data / "frameworks")):
        with pytest.raises(InputError, match="rename the f") as caught:
            read(tmp_path)
        assert refused_in_one_line(caught.value)


def test_editors_leave_hidden_files_that_are_no_partitions(tmp_path: Path) -> None:
    (tmp_path / "frameworks").mkdir()
    for name in ("toy.yaml", ".#toy.yaml", ".toy.yaml"):
        (tmp_path / "frameworks" / name).write_text("name: F")
    assert framework_keys(tmp_path) == ["toy"]


def test_a_model_takes_any_name_that_a_partition_can_have(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    for name in WHOLE:
        path.write_text(as_yaml({"models": [{"name": name, "provider": "openai", "model": "m"}]}))
        if key_problem(name) or len(name) > 200:
            with pytest.raises(InputError) as caught:
                load_registry(path)
            assert refused_in_one_line(caught.value)
        else:
            assert [entry.name for entry in load_registry(path).models] == [name]


@pytest.mark.parametrize("name", ["a?b", "a%20b"])
def test_a_folder_that_dagster_would_mistake_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / name))
    with pytest.raises(InputError, match="rename the folder that has") as caught:
        prepare_home(Project(tmp_path))
    assert refused_in_one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_runs_over_hostile_names_land_exactly_those(tmp_path: Path, record_property: Record) -> None:
    """The command itself in a hostile folder: frameworks, families and models, one Dagster run each."""
    fit = [name for name in KEYS if is_file_name(name) and name.isprintable() and not name.startswith("imported_")]
    names = fit[:: scaled(len(fit) // 2, 8)]
    models = [name for name in KEYS if len(name) <= 200][:: scaled(80, 4)]
    root = build(tmp_path / 'it\'s; "a" * [folder] {x} %s = &', names, models)
    selection = 'key:"personas/frameworks" or key:"influence/initial_states" or key:"influence/checkpoint_0"'
    done = forked.run(("run", selection), cwd=root, env=environment(root), timeout=scaled(200, 1200))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))
    with duckdb.connect(str(root / "data" / "influence.duckdb"), read_only=True) as connection:
        for query, wanted in (
            ("SELECT framework FROM personas.frameworks", names),
            ("SELECT DISTINCT family FROM influence.environments", names),
            ("SELECT environment FROM influence.environments", [f"{n}{name}" for n, name in enumerate(names)]),
            ("SELECT model FROM influence.checkpoints", models),
            ("SELECT DISTINCT partition FROM ledger.materializations", [*names, *models]),
        ):
            assert {value for (value,) in connection.execute(query).fetchall()} == set(wanted), query
    assert odd_files(root / "data" / "warehouse") == []
    assert {path.name for path in root.iterdir()} == {"data", ".dagster"}
    assert {path.name for path in tmp_path.iterdir()} == {root.name}
    record_property(
        "hostile names", f"{len(names)} as frameworks and families, {len(models)} as models, run by Dagster"
    )
