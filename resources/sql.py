"""The one place that turns names and values into SQL text. Everything else binds parameters or calls these."""

from __future__ import annotations

from collections.abc import Iterable

from resources.errors import WarehouseError, one_line


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier; raises `WarehouseError` for what SQL text cannot carry."""
    return '"' + _carried(name).replace('"', '""') + '"'


def qualified(table: str) -> str:
    """`schema.table` with both parts quoted."""
    schema, _, name = table.partition(".")
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str) -> str:
    """A string as an SQL literal; raises `WarehouseError` for what SQL text cannot carry."""
    return "'" + _carried(text).replace("'", "''") + "'"


def pattern(path: str) -> str:
    """The pattern that fits a file's path alone, for `read_parquet` and its like.

    They take `*` and `[` for patterns: a path that also fits a file in the folder beside it would bring its rows too.
    """
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def literals(texts: Iterable[str]) -> str:
    """Strings as an SQL list."""
    return "[" + ", ".join(map(literal, texts)) + "]"


def _carried(text: str) -> str:
    if "\0" in text or not encodable(text):
        raise WarehouseError(f"SQL text cannot hold {one_line(text)}: it has a NUL character or a lone surrogate")
    return text


def encodable(text: str) -> bool:
    """Whether a string has a UTF-8 form, which a lone surrogate has not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
