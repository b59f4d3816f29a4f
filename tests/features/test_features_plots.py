"""Pictures of the features family: PNG bytes of whatever rows there are."""

from __future__ import annotations

import struct

import polars as pl
import pytest

from influence_assets.features import tables
from influence_assets.features.plots import dose_response, feature_map, off_target
from resources.tables import Table


def frame(table: Table, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows of a table with null where nothing is said."""
    types = {"DOUBLE": pl.Float64, "INTEGER": pl.Int32, "VARCHAR": pl.String}
    schema = {column.name: types[column.type] for column in table.columns if column.type in types}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows] or None, schema=schema, orient="row")


def size(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG; fails for anything else."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert image[-12:] == b"\x00\x00\x00\x00IEND\xaeB`\x82"
    width, height = struct.unpack(">II", image[16:24])
    return width, height


def steered(method: str, coefficient: float, shift: float | None, trait: str = "pride") -> dict[str, object]:
    ends = {"ci_low": shift, "ci_high": shift} if shift is not None else {}
    category = "" if method == "random" else "high"
    factor = "" if method == "random" else "pride"
    place = {"factor": factor, "category": category, "trait": trait, "method": method}
    return place | {"coefficient": coefficient, "shift": shift} | ends


ROWS = [
    *(steered("probe", c, 0.5 * c) for c in (-0.2, 0.2)),
    steered("probe", 0.4, None),
    *(steered("random", c, 0.01 * n) for c in (-0.2, 0.2) for n in range(5)),
    steered("shuffled", 0.2, 0.0),
    steered("prompt", 0.0, 0.1),
    steered("probe", 0.2, 0.05, "order $x"),
]
TRAITS = ["pride", "order $x"]


def mapped(latent: int, rank: int, auroc: float | None) -> dict[str, object]:
    ends = {} if auroc is None else {"ci_low": auroc - 0.1, "ci_high": auroc + 0.05}
    row = {"factor": "pride", "category": "$high", "feature_id": latent, "rank": rank, "auroc_heldout": auroc}
    return row | ends


@pytest.mark.filterwarnings("error")
def test_pictures_are_png_and_the_same_for_the_same_rows() -> None:
    latents = frame(tables.SAE_FEATURE_MAP, [mapped(3, 1, 0.9), mapped(7, 2, None), mapped(8, 9, 0.2)])
    steering = frame(tables.STEERING, ROWS)
    for make in (
        lambda: feature_map(latents, title="a $5 title"),
        lambda: dose_response(steering, TRAITS, title="t"),
        lambda: off_target(steering, TRAITS, method="probe", reference=0.2, title="t"),
    ):
        image = make()
        assert min(size(image)) > 100
        assert image == make()


def test_more_rows_are_a_larger_picture() -> None:
    few = frame(tables.SAE_FEATURE_MAP, [mapped(3, 1, 0.9)])
    many = frame(tables.SAE_FEATURE_MAP, [mapped(n, 1, 0.9) for n in range(30)])
    assert size(feature_map(many, title="t"))[1] > size(feature_map(few, title="t"))[1]
    steering = frame(tables.STEERING, ROWS)
    assert size(dose_response(steering, TRAITS, title="t"))[0] > size(dose_response(steering, TRAITS[:1], title="t"))[0]


@pytest.mark.filterwarnings("error")
def test_empty_tables_and_unknown_values_are_drawn_too() -> None:
    assert size(feature_map(frame(tables.SAE_FEATURE_MAP, []), title="t"))
    nothing = frame(tables.STEERING, [])
    assert size(dose_response(nothing, ["pride"], title="t"))
    assert size(off_target(nothing, ["pride"], method="probe", reference=0.2, title="t"))
    unknown = frame(tables.STEERING, [steered("probe", 0.2, None), steered("random", 0.2, None)])
    assert size(dose_response(unknown, ["pride"], title="t"))
    assert size(off_target(unknown, ["pride"], method="probe", reference=0.2, title="t"))


def test_controls_are_no_curves() -> None:
    """The picture with controls differs by the band alone, never by a line of theirs."""
    own = [row for row in ROWS if row["method"] == "probe"]
    without = dose_response(frame(tables.STEERING, own), ["pride"], title="t")
    prompts = [steered("prompt", 0.0, 0.3), steered("shuffled", 0.2, 0.3), steered("shuffled", -0.2, -0.3)]
    assert dose_response(frame(tables.STEERING, own + prompts), ["pride"], title="t") == without
    random = [steered("random", 0.2, 0.1 * n) for n in range(5)]
    assert dose_response(frame(tables.STEERING, own + random), ["pride"], title="t") != without
