"""What a public table is: its name, its columns with types and comments, its partition and its key.

People's queries depend on these names, so a change is a breaking change. Each family declares its tables beside the
code that fills them (`influence_assets/<family>/tables.py`); `influence_assets/tables.py` gathers them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its DuckDB type and one sentence on what it holds, with its unit."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """One public table.

    `name` is `schema.table`. `partition` names the columns that tell one materialization's rows from another's (they
    are ordinary columns of the rows). `key` names the columns that are unique together; rows are stored in its order,
    so that equal content has equal bytes. The provenance columns `run_id` and `code_version` are added by the
    warehouse to every table and are not listed here.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    partition: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> str:
        return self.name.split(".")[0]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)
