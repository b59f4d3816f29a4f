"""The public benchmark's files through the graph: ids kept, filters look and drop nothing, a model is measured."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import yaml

from influence_assets.organism.world import Pole, Statement, World, load_world
from influence_assets.personas.ids import persona_id, statement_id

HEAD = ["persona_id", "framework_name", "framework_description", "persona_description"]
SLUG = "imported_steerability_eval"


def held_out(world: World, pole: Pole) -> list[Statement]:
    return [statement for (side, _), statements in world.held_out.items() if side == pole for statement in statements]


def write_benchmark(folder: Path, data: Path) -> set[str]:
    """Two public frameworks with two personas each, six statements per label; returns the statement ids."""
    world = load_world(data)
    ids = set()
    with (folder / "personas.csv").open("w", newline="") as p, (folder / "statements.csv").open("w", newline="") as s:
        personas, statements = csv.writer(p), csv.writer(s)
        personas.writerow(HEAD)
        statements.writerow([*HEAD, "statement", "statement_id", "is_agree"])
        for number, (framework, name) in enumerate((("One", "Ada"), ("One", "Ben"), ("Two", "Cyd"), ("Two", "Dan"))):
            own = persona_id(framework, name)
            personas.writerow([own, framework, f"The framework {framework}.", name])
            pole = world.poles[2 * number]
            for agree, side in ((True, pole), (False, pole.opposite)):
                for statement in held_out(world, side)[:6]:
                    row = statement_id(agree, statement.text, own)
                    ids.add(row)
                    statements.writerow([own, framework, "", name, statement.text, row, agree])
    return ids


def test_a_public_benchmark_is_measured(project: Path, influence) -> None:
    ids = write_benchmark(project, project / "data")
    influence("import", "steerability-eval", "personas.csv", "statements.csv")
    path = project / "data" / "study.yaml"
    study = yaml.safe_load(path.read_text())
    study["personas"]["frameworks"] = [SLUG]
    study["steerability"]["methods"] = ["none", "description"]
    path.write_text(yaml.safe_dump(study))
    influence("run", "group:personas or group:steerability")

    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        kept = connection.execute("SELECT statement_id FROM personas.statements WHERE framework = ?", [SLUG]).fetchall()
        assert {row for (row,) in kept} == ids
        names = connection.execute("SELECT framework_name, name FROM personas.personas ORDER BY position").fetchall()
        assert names == [("One", "Ada"), ("One", "Ben"), ("Two", "Cyd"), ("Two", "Dan")]
        filters = {
            name for (name,) in connection.execute("SELECT DISTINCT filter FROM personas.filter_decisions").fetchall()
        }
        assert {"form", "agreement", "diversity", "cross_persona", "public_diversity"} <= filters
        groups = {
            name for (name,) in connection.execute("SELECT DISTINCT framework FROM steerability.clusters").fetchall()
        }
        assert groups == {f"{SLUG}/One", f"{SLUG}/Two"}
        cells = connection.execute("SELECT count(*) FROM steerability.matrix WHERE method = 'description'").fetchone()
        assert cells == (16,)
