"""`influence export csv` and `parquet`: chosen tables as files, one a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from resources.errors import InputError
from resources.tables import Table
from resources.warehouse import Warehouse


def export_chosen(warehouse: Warehouse, folder: Path, form: Literal["csv", "parquet"], names: Sequence[str]) -> Path:
    """Write `schema.table.csv` or `.parquet` into a new or empty folder, whole or not at all; returns the folder.

    A name is a table or a schema; all tables when there are none. Raises `InputError` for an unknown name.
    """
    return warehouse.export(folder, form, chosen(warehouse.tables, names))


def chosen(tables: Sequence[Table], names: Sequence[str]) -> tuple[str, ...]:
    """The tables that the names mean, each once, in the order of the declarations; all of them for no names."""
    schemas = {table.schema for table in tables}
    known = {table.name for table in tables}
    for name in names:
        if name not in known | schemas:
            fix = f"name a schema ({', '.join(sorted(schemas))}) or a table as in steerability.summary"
            raise InputError("there is no such table or schema", field="TABLE", value=name, fix=fix)
    return tuple(table.name for table in tables if not names or {table.name, table.schema} & set(names))
