"""`influence sql`: the published tables from the terminal, read only."""

from __future__ import annotations

import duckdb
import polars as pl
from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from resources.errors import InputError, WarehouseError
from resources.warehouse import Warehouse

MAX_ROWS = 100


def print_query(warehouse: Warehouse, query: str, as_of: str | None = None) -> None:
    """Run one query, on the tables as they were after the run `as_of` where that is given, and print its rows; a query
    that cannot be run is an `InputError`."""
    try:
        frame = warehouse.query(query, as_of=as_of)
    except (duckdb.Error, WarehouseError) as error:
        what = " ".join(str(error).split())
        raise InputError(what, field="query", fix="SHOW ALL TABLES and DESCRIBE list what there is") from None
    console = Console()
    # Into a file or a pipe a table is as wide as it needs to be.
    console = console if console.is_terminal else Console(width=200)
    console.print(grid(frame))
    if frame.height > MAX_ROWS:
        Console(stderr=True).print(f"{frame.height} rows; the first {MAX_ROWS} are shown")


def grid(frame: pl.DataFrame) -> Grid:
    """A frame as a terminal table. Cells are text, never markup, and control characters are shown, not sent."""
    table = Grid(*(Column(Text(_cell(name))) for name in frame.columns), header_style="bold")
    for row in frame.head(MAX_ROWS).iter_rows():
        table.add_row(*(Text(_cell(value), overflow="fold") for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def shell(warehouse: Warehouse, as_of: str | None = None) -> None:
    """Read queries line by line, each ended by a semicolon, until the input ends."""
    console = Console()
    console.print("Tables: [bold]SHOW ALL TABLES;[/bold]  a table's columns: [bold]DESCRIBE name;[/bold]  end: Ctrl-D")
    lines: list[str] = []
    while True:
        try:
            line = input("... " if lines else "sql> ")
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        lines.append(line)
        if line.rstrip().endswith(";"):
            query, lines = "\n".join(lines), []
            try:
                print_query(warehouse, query, as_of)
            except InputError as error:
                console.print(Text(str(error), style="red"))
