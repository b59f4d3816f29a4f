"""Reading CSV that comes from elsewhere: whole and well-formed, or one complaint with file, line, column and fix."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.errors import InputError

MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One record: its file, the line on which it begins (from 1), and its fields by column."""

    path: Path
    line: int
    fields: dict[str, str]

    def text(self, column: str, max_length: int) -> str:
        """The field as it stands, spaces included; an `InputError` when it is blank or longer than `max_length`."""
        value = self.fields[column]
        if not value.strip():
            raise self.problem(column, "is blank", fix="write a value or remove the row")
        if len(value) > max_length:
            raise self.problem(column, f"is {len(value)} characters long", fix=f"shorten it to {max_length}")
        return value

    def problem(self, column: str, problem: str, *, fix: str) -> InputError:
        """A complaint about one field of this row."""
        place = f"{self.path}:{self.line}"
        return InputError(problem, place=place, field=column, value=self.fields[column], fix=fix)


def read_rows(path: Path, required: Sequence[str]) -> list[Row]:
    """All records of a UTF-8 CSV file (with or without byte order mark) in file order; blank lines are passed over.

    Columns beyond the required ones are kept. Raises `InputError`: unreadable or not UTF-8, broken quoting, a missing
    or doubled column, a record with too few or too many fields.
    """
    records = _records(path, _text(path))
    line, header = next(records, (1, []))
    _check_header(path, line, header, required)
    rows = []
    for line, fields in records:
        if len(fields) != len(header):
            problem = f"the row has {len(fields)} fields and the header {len(header)}"
            fix = "quote fields that hold a comma or a line break"
            raise InputError(problem, place=f"{path}:{line}", value=fields[0], fix=fix)
        rows.append(Row(path, line, dict(zip(header, fields, strict=True))))
    return rows


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"is larger than {MAX_BYTES >> 20} MiB", place=path, value=size, fix="split it")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read: {reason}", place=path, fix="check the path and its rights") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        bad = raw[error.start : error.start + 8]
        raise InputError("is not UTF-8", place=f"{path}:{line}", value=bad, fix="save it as UTF-8") from None


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            fix = "check the quotes from this line on"
            raise InputError(f"is not CSV: {error}", place=f"{path}:{line}", fix=fix) from None
        if fields is None:
            return
        if fields:
            yield line, fields


def _check_header(path: Path, line: int, header: Sequence[str], required: Sequence[str]) -> None:
    place = f"{path}:{line}"
    for column in required:
        if column not in header:
            fix = f"the header needs: {', '.join(required)}"
            raise InputError("the column is missing", place=place, field=column, value=", ".join(header), fix=fix)
    for column in header:
        if header.count(column) > 1:
            raise InputError("the column stands twice", place=place, field=column, value=column, fix="remove one")
