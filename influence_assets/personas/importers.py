"""Public benchmarks from their own files: checked as a whole, kept with their ids, stored as a framework partition.

An import lives in `data/imports/<slug>/benchmark.parquet`, where the slug, `imported_` and the benchmark's name, is
the partition key. One slug holds all frameworks of the benchmark, since its protocol samples over all personas in file
order. The file has one row per statement, its persona beside it, and one row with null statement columns for a
persona without statements:

| column | what it holds |
|---|---|
| persona_position | place of the persona in the personas file, from 0 |
| persona_id, framework, framework_about, persona | the persona's id, its framework's name and text, its name |
| statement_position | place of the statement in the statements file, from 0 |
| statement_id, text, agree | the statement's id, its text as it stood, its label |

It is one file so that it can be replaced by one rename: a reader has the old import or the new one.
"""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from influence_assets.personas.csvrows import Row, read_rows
from influence_assets.personas.frameworks import IMPORT_PREFIX, MAX_NAME, MAX_PROSE, Framework, PersonaSpec
from resources.errors import InputError

FILE = "benchmark.parquet"
STEERABILITY_EVAL = "steerability_eval"

PERSONA_COLUMNS = ("persona_id", "framework_name", "framework_description", "persona_description")
STATEMENT_COLUMNS = ("persona_id", "statement", "statement_id", "is_agree")
_LABELS = {"true": True, "t": True, "yes": True, "y": True, "1": True}
_LABELS |= {"false": False, "f": False, "no": False, "n": False, "0": False}

_SCHEMA = pl.Schema(
    {
        "persona_position": pl.Int32(),
        "persona_id": pl.String(),
        "framework": pl.String(),
        "framework_about": pl.String(),
        "persona": pl.String(),
        "statement_position": pl.Int32(),
        "statement_id": pl.String(),
        "text": pl.String(),
        "agree": pl.Boolean(),
    }
)


@dataclass(frozen=True, slots=True)
class ImportedPersona:
    """One row of the personas file: an id, a name, and the name and text of the framework that it belongs to."""

    persona_id: str
    framework: str
    framework_about: str
    name: str

    @property
    def title(self) -> str:
        """Framework and name together, as in `MBTI INTJ`: names of several frameworks side by side need it."""
        return f"{self.framework} {self.name}"


@dataclass(frozen=True, slots=True)
class ImportedStatement:
    """One row of the statements file; `agree` is the label for the persona `persona_id`."""

    statement_id: str
    persona_id: str
    text: str
    agree: bool


@dataclass(frozen=True, slots=True)
class ImportedBenchmark:
    """A public benchmark. Personas and statements stand in the order of their files."""

    name: str
    personas: tuple[ImportedPersona, ...]
    statements: tuple[ImportedStatement, ...]

    @property
    def slug(self) -> str:
        """The partition key, and the name of the folder in `data/imports`."""
        return IMPORT_PREFIX + self.name

    def framework(self) -> Framework:
        """All personas as one framework, named by their titles, without descriptions, in file order.

        `Framework.persona_ids` of it are not the benchmark's: those are in `personas`.
        """
        kinds = ", ".join(self.frameworks())
        return Framework(
            name=self.name.replace("_", " "),
            about=f"An imported benchmark with personas of {kinds}.",
            personas=tuple(PersonaSpec(name=persona.title) for persona in self.personas),
        )

    def frameworks(self) -> dict[str, Framework]:
        """The benchmark's own frameworks by name, each with its text and its personas, in order of appearance."""
        members: dict[str, list[ImportedPersona]] = {}
        for persona in self.personas:
            members.setdefault(persona.framework, []).append(persona)
        return {
            name: Framework(
                name=name,
                about=personas[0].framework_about,
                personas=tuple(PersonaSpec(name=persona.name) for persona in personas),
            )
            for name, personas in members.items()
        }


def import_steerability_eval(
    personas_csv: Path, statements_csv: Path, *, name: str = STEERABILITY_EVAL
) -> ImportedBenchmark:
    """The public steerability benchmark's two files, ids and texts exactly as they stand.

    Personas: `PERSONA_COLUMNS`, where `persona_description` holds the persona's name. Statements: `STATEMENT_COLUMNS`;
    `is_agree` is true or false (also yes/no, t/f, y/n, 1/0; case does not count). Other columns are not read. Only the
    framework's text is changed: its indentation goes.

    Raises `InputError` with file, line, column, value and fix for the first bad row of either file: see `read_rows`;
    also blank or overlong fields, ids or personas that stand twice, a persona id that the personas file does not
    have, a label that is none. Fewer than two personas or no statement at all is an error too.
    """
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
        fix = "use up to 60 small letters, digits and _"
        raise InputError("is no name for an import", field="name", value=name, fix=fix)
    personas = _personas(personas_csv)
    return ImportedBenchmark(name, personas, _statements(statements_csv, personas_csv, personas))


def _personas(path: Path) -> tuple[ImportedPersona, ...]:
    lines: dict[str, int] = {}
    titles: dict[str, int] = {}
    personas = []
    for row in read_rows(path, PERSONA_COLUMNS):
        persona = ImportedPersona(
            persona_id=row.text("persona_id", MAX_NAME),
            framework=row.text("framework_name", MAX_NAME // 2),
            framework_about=textwrap.dedent(row.text("framework_description", MAX_PROSE)).strip(),
            name=row.text("persona_description", MAX_NAME // 2 - 1),
        )
        _refuse_second(row, "persona_id", persona.persona_id, lines)
        _refuse_second(row, "persona_description", persona.title, titles)
        personas.append(persona)
    if len(personas) < 2:
        raise InputError("holds fewer than two personas", place=path, value=len(personas), fix="add rows")
    return tuple(personas)


def _statements(path: Path, personas_csv: Path, personas: Sequence[ImportedPersona]) -> tuple[ImportedStatement, ...]:
    known = {persona.persona_id for persona in personas}
    lines: dict[str, int] = {}
    statements = []
    for row in read_rows(path, STATEMENT_COLUMNS):
        statement = ImportedStatement(
            statement_id=row.text("statement_id", MAX_NAME),
            persona_id=row.text("persona_id", MAX_NAME),
            text=row.text("statement", MAX_PROSE),
            agree=_label(row),
        )
        if statement.persona_id not in known:
            fix = f"add the persona to {personas_csv.name} or remove the row"
            raise row.problem("persona_id", "is not the id of a persona", fix=fix)
        _refuse_second(row, "statement_id", statement.statement_id, lines)
        statements.append(statement)
    if not statements:
        raise InputError("holds no statements", place=path, fix="add rows")
    return tuple(statements)


def _label(row: Row) -> bool:
    label = _LABELS.get(row.fields["is_agree"].strip().lower())
    if label is None:
        raise row.problem("is_agree", "is neither true nor false", fix="write True or False")
    return label


def _refuse_second(row: Row, column: str, value: str, lines: dict[str, int]) -> None:
    first = lines.setdefault(value, row.line)
    if first != row.line:
        raise row.problem(column, f"stands in line {first} already", fix="remove one of the two rows")


def write_import(benchmark: ImportedBenchmark, folder: Path) -> Path:
    """Store a benchmark in `folder` (`data/imports`) and return its own folder there.

    The file is written in a temporary folder beside `folder` and then renamed, so that an import of the same name is
    replaced as a whole or not at all. Raises `InputError` where the disk does not let it.
    """
    target = folder / benchmark.slug
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=folder.parent) as temporary:
            staged = Path(temporary) / benchmark.slug
            staged.mkdir()
            _write(_to_frame(benchmark), staged / FILE)
            try:
                staged.rename(target)
            except OSError:
                # An import of this name is there: its folder stays and its file is replaced.
                (staged / FILE).replace(target / FILE)
    except OSError as error:
        fix = "make room or mend the rights of the folder"
        raise InputError(f"cannot be written: {error.strerror}", place=target, fix=fix) from None
    return target


def _write(frame: pl.DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        frame.write_parquet(file)
        file.flush()
        os.fsync(file.fileno())


def read_import(folder: Path) -> ImportedBenchmark:
    """The benchmark stored in one folder of `data/imports`; an `InputError` where that is none or is damaged."""
    path = folder / FILE
    fix = "import the benchmark again, or remove the folder"
    try:
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"is not a stored import: {reason}", place=path, fix=fix) from None
    if frame.schema != _SCHEMA:
        raise InputError("has other columns than an import", place=path, value=", ".join(frame.columns), fix=fix)
    return _from_frame(folder.name.removeprefix(IMPORT_PREFIX), frame)


def _to_frame(benchmark: ImportedBenchmark) -> pl.DataFrame:
    personas = _typed(
        ("persona_position", "persona_id", "framework", "framework_about", "persona"),
        [(i, p.persona_id, p.framework, p.framework_about, p.name) for i, p in enumerate(benchmark.personas)],
    )
    statements = _typed(
        ("statement_position", "persona_id", "statement_id", "text", "agree"),
        [(i, s.persona_id, s.statement_id, s.text, s.agree) for i, s in enumerate(benchmark.statements)],
    )
    return personas.join(statements, on="persona_id", how="left", maintain_order="left_right").select(_SCHEMA.names())


def _typed(columns: Sequence[str], rows: Sequence[tuple[int | str | bool, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={column: _SCHEMA[column] for column in columns}, orient="row")


def _from_frame(name: str, frame: pl.DataFrame) -> ImportedBenchmark:
    personas = frame.unique("persona_position").sort("persona_position")
    statements = frame.drop_nulls("statement_position").sort("statement_position")
    return ImportedBenchmark(
        name=name,
        personas=tuple(
            ImportedPersona(*row)
            for row in personas.select("persona_id", "framework", "framework_about", "persona").iter_rows()
        ),
        statements=tuple(
            ImportedStatement(*row)
            for row in statements.select("statement_id", "persona_id", "text", "agree").iter_rows()
        ),
    )
