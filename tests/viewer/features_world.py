"""Tables of features and of joint measures for tests of their pages, with effects that a test can look for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from influence_assets.tables import ALL_TABLES
from influence_assets.viewer.store import Store
from resources.tables import Column, Table
from resources.warehouse import Warehouse
from tests.browser import viewer_world as world

WHO = (("model", "VARCHAR"), ("iteration", "INTEGER"))
TRAITS = ("openness", "narcissism")

# The columns that people's queries depend on; the families declare more beside them.
COLUMNS = {
    "features.sae_feature_map": (
        *("sae:VARCHAR", "layer:INTEGER", "feature_id:BIGINT", "factor:VARCHAR", "category:VARCHAR", "auroc:DOUBLE"),
        *("auroc_heldout:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE", "selectivity:DOUBLE", "output_score:DOUBLE"),
        *("stability:DOUBLE", "top_texts:VARCHAR[]"),
    ),
    "features.directions": (
        *("direction_id:VARCHAR", "layer:INTEGER", "factor:VARCHAR", "category:VARCHAR", "method:VARCHAR"),
        *("path:VARCHAR", "norm:DOUBLE"),
    ),
    "features.steering": (
        *("direction_id:VARCHAR", "coefficient:DOUBLE", "positions:VARCHAR", "mode:VARCHAR", "trait:VARCHAR"),
        *("score:DOUBLE", "shift:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE", "mass:DOUBLE", "kl:DOUBLE", "n:INTEGER"),
    ),
    "features.trait_scores": (
        *("condition:VARCHAR", "trait:VARCHAR", "score:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE", "mass:DOUBLE"),
        *("order_consistency:DOUBLE", "n:INTEGER"),
    ),
    "features.side_effects": (
        *("condition:VARCHAR", "test:VARCHAR", "category:VARCHAR", "value:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE"),
        "n:INTEGER",
    ),
    "joint.checkpoint_profile": (*("measure:VARCHAR", "value:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE", "n:INTEGER"),),
    "joint.drift": ("measure:VARCHAR", "delta:DOUBLE", "ci_low:DOUBLE", "ci_high:DOUBLE", "n:INTEGER"),
}


def tables() -> tuple[Table, ...]:
    """Every declared table, and those of this module that no family declares."""
    declared = {table.name for table in ALL_TABLES}
    return (*ALL_TABLES, *(_table(name, columns) for name, columns in COLUMNS.items() if name not in declared))


def store(root: Path) -> Store:
    """A published store with a feature map, two directions that work, random ones that do not, and a profile."""
    target = world.warehouse(world.project_folder(root), tables())
    who = {"model": "tiny", "iteration": 0}
    _land(target, "features.sae_feature_map", [who | row for row in _feature_map()])
    _land(target, "features.directions", [who | row for row in _directions()])
    _land(target, "features.steering", [who | row for row in _steering()])
    _land(
        target,
        "features.trait_scores",
        [who | {"condition": "unsteered", "trait": trait, "score": 0.5, "n": 8} for trait in TRAITS],
    )
    _land(
        target,
        "joint.checkpoint_profile",
        [
            {"model": "tiny", "iteration": i, "measure": measure, "value": 0.1 * i, "ci_low": 0.1 * i - 0.05}
            | {"ci_high": 0.1 * i + 0.05, "n": 8}
            for i in range(3)
            for measure in ("harm", "projection openness")
        ],
    )
    target.publish()
    return Store(target)


def _land(target: Warehouse, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows with what the table's key wants beside the columns that queries depend on, and nothing that it has not."""
    columns = {column.name for table in target.tables if table.name == name for column in table.columns}
    whole = [{"condition": f"condition {n}", "half": "heldout"} | dict(row) for n, row in enumerate(rows)]
    world.land(target, name, [{key: row[key] for key in row if key in columns} for row in whole])


def _feature_map() -> Sequence[dict[str, object]]:
    return [
        {"sae": "top-k", "layer": 3, "feature_id": n, "factor": "trait", "category": TRAITS[n % 2], "auroc": 0.97}
        | {"auroc_heldout": 0.95 - n / 50, "ci_low": 0.85 - n / 50, "ci_high": 0.98, "selectivity": 0.5}
        | {"top_texts": ["<b>a text</b>", "another"]}
        for n in range(6)
    ]


def _directions() -> Sequence[dict[str, object]]:
    named = [
        {
            "direction_id": f"d-{trait}",
            "layer": 3,
            "factor": "trait",
            "category": trait,
            "method": "difference_in_means",
        }
        for trait in TRAITS
    ]
    random = [
        {"direction_id": f"r-{n}", "layer": 3, "factor": "trait", "category": "random", "method": "random"}
        for n in range(8)
    ]
    return [row | {"path": "x.safetensors", "norm": 2.0} for row in [*named, *random]]


def _steering() -> Sequence[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for direction in _directions():
        for trait in TRAITS:
            for coefficient in (-4.0, -2.0, 0.0, 2.0, 4.0):
                own = direction["category"] == trait
                wobble = 0.004 * (sum(map(ord, f"{direction['direction_id']}{trait}")) % 5 - 2)
                shift = coefficient * (0.1 if own else wobble)
                rows.append(
                    {"direction_id": direction["direction_id"], "coefficient": coefficient, "positions": "all"}
                    | {"mode": "add", "trait": trait, "score": 0.5 + shift, "shift": shift}
                    | {"ci_low": shift - 0.05, "ci_high": shift + 0.05, "mass": 0.99, "kl": 0.01, "n": 8}
                )
    return rows


def _table(name: str, columns: Sequence[str]) -> Table:
    pairs = [*WHO, *(tuple(column.split(":")) for column in columns)]
    return Table(
        name=name,
        comment="For tests.",
        columns=tuple(Column(column, kind, "for tests") for column, kind in pairs),
        partition=("model", "iteration"),
        key=tuple(column for column, kind in pairs if not kind.endswith("[]")),
    )
