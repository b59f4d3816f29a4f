"""Importing the public benchmark's CSV files: kept exactly, stored whole, or refused in one line."""

import csv
import io
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.personas.importers import (
    FILE,
    PERSONA_COLUMNS,
    STATEMENT_COLUMNS,
    ImportedBenchmark,
    ImportedPersona,
    ImportedStatement,
    import_steerability_eval,
    read_import,
    write_import,
)
from resources.errors import InputError

ABOUT = "\n    Teas, and what they say of people.\n      - green\n    "
PERSONAS = [("t1", "Tea", ABOUT, "Green"), ("t2", "Tea", ABOUT, "Black, strong"), ("s1", "Soup", "Soups.", "Green")]
STATEMENTS = [
    ("t2", "I wake the house.", "a1", "True"),
    ("t1", 'I say "no, thanks".', "a2", "False"),
    ("s1", " I simmer,\nslowly. ", "a3", "true"),
    ("t1", "I steep for two minutes.", "a4", "TRUE"),
    ("t2", "I prefer the quiet.", "a5", "0"),
]


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


GOOD_PERSONAS = _csv(PERSONA_COLUMNS, PERSONAS)
GOOD_STATEMENTS = _csv(STATEMENT_COLUMNS, STATEMENTS)

Import = Callable[[str | bytes, str | bytes], ImportedBenchmark]


@pytest.fixture
def import_(tmp_path: Path) -> Import:
    def run(personas: str | bytes = GOOD_PERSONAS, statements: str | bytes = GOOD_STATEMENTS) -> ImportedBenchmark:
        paths = tmp_path / "p.csv", tmp_path / "s.csv"
        for path, content in zip(paths, (personas, statements), strict=True):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_steerability_eval(*paths)

    return run


def test_ids_texts_labels_and_order_are_kept(import_: Import) -> None:
    benchmark = import_(GOOD_PERSONAS, GOOD_STATEMENTS)
    assert benchmark.slug == "imported_steerability_eval"
    assert [(p.persona_id, p.framework, p.name) for p in benchmark.personas] == [(p[0], p[1], p[3]) for p in PERSONAS]
    assert benchmark.personas[0].framework_about == "Teas, and what they say of people.\n  - green"
    assert [(s.persona_id, s.text, s.statement_id) for s in benchmark.statements] == [s[:3] for s in STATEMENTS]
    assert [s.agree for s in benchmark.statements] == [True, False, True, True, False]


def test_names_travel_with_their_framework(import_: Import) -> None:
    benchmark = import_(GOOD_PERSONAS, GOOD_STATEMENTS)
    assert [persona.name for persona in benchmark.framework().personas] == [
        "Tea Green",
        "Tea Black, strong",
        "Soup Green",
    ]
    tea, soup = benchmark.frameworks().values()
    assert (tea.name, [persona.name for persona in tea.personas]) == ("Tea", ["Green", "Black, strong"])
    assert (soup.name, soup.about) == ("Soup", "Soups.")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_line_ends_blank_lines_and_further_columns(import_: Import, line_end: str, mark: bytes) -> None:
    personas = _csv([*PERSONA_COLUMNS, "note"], [(*row, "x") for row in PERSONAS]) + "\n\n"
    statements = _csv(["n", *STATEMENT_COLUMNS], [("1", *row) for row in STATEMENTS])
    as_bytes = [mark + text.replace("\n", line_end).encode() for text in (personas, statements)]
    benchmark = import_(as_bytes[0], as_bytes[1])
    expected = import_(GOOD_PERSONAS.replace("\n", line_end), GOOD_STATEMENTS.replace("\n", line_end))
    assert benchmark == expected


def _change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


BAD_PERSONAS = [
    (_change(GOOD_PERSONAS, "framework_name", "framework"), "p.csv:1: framework_name: the column is missing"),
    (_change(GOOD_PERSONAS, "persona_description", "framework_name"), "p.csv:1: persona_description: the column is"),
    (GOOD_PERSONAS.replace("s1,Soup", ",Soup"), "p.csv:10: persona_id: is blank (got ''); write a value"),
    (GOOD_PERSONAS.replace("s1,Soup", "t1,Soup"), "p.csv:10: persona_id: stands in line 2 already (got 't1')"),
    (GOOD_PERSONAS.replace("s1,Soup", "s1,Tea"), "p.csv:10: persona_description: stands in line 2 already"),
    (GOOD_PERSONAS.replace('"Black, strong"', "Black, strong"), "p.csv:6: the row has 5 fields and the header 4"),
    (GOOD_PERSONAS.replace("s1,Soup", 's1,"Soup'), "p.csv:10: is not CSV: "),
    (GOOD_PERSONAS.replace("s1,Soup", "s1," + "S" * 6000), "p.csv:10: framework_name: is 6000 characters long"),
    (GOOD_PERSONAS.replace("s1,Soup", "s1," + "S" * 140_000), "p.csv:10: is not CSV: field larger than"),
    (GOOD_PERSONAS.encode("utf-16"), "p.csv:1: is not UTF-8"),
    (GOOD_PERSONAS.encode().replace(b"Soups.", b"So\xffps."), "p.csv:10: is not UTF-8"),
    ("", "p.csv:1: persona_id: the column is missing"),
    (GOOD_PERSONAS.splitlines()[0], "p.csv: holds fewer than two personas"),
]
BAD_STATEMENTS = [
    (_change(GOOD_STATEMENTS, "is_agree", "agree"), "s.csv:1: is_agree: the column is missing"),
    (_change(GOOD_STATEMENTS, "a3,true", "a3,maybe"), "s.csv:4: is_agree: is neither true nor false (got 'maybe')"),
    (_change(GOOD_STATEMENTS, "a3,true", "a3,"), "s.csv:4: is_agree: is neither true nor false (got ''); write True"),
    (_change(GOOD_STATEMENTS, "a3,true", "a1,true"), "s.csv:4: statement_id: stands in line 2 already (got 'a1')"),
    (_change(GOOD_STATEMENTS, "a3,true", ",true"), "s.csv:4: statement_id: is blank"),
    (_change(GOOD_STATEMENTS, "s1,", "s9,"), "s.csv:4: persona_id: is not the id of a persona (got 's9'); add the"),
    (_change(GOOD_STATEMENTS, "I wake the house.", ""), "s.csv:2: statement: is blank"),
    (_change(GOOD_STATEMENTS, "a5,0", "a5"), "s.csv:7: the row has 3 fields and the header 4"),
    (GOOD_STATEMENTS.splitlines()[0], "s.csv: holds no statements"),
]


@pytest.mark.parametrize(("personas", "complaint"), BAD_PERSONAS)
def test_a_bad_persona_row_is_named(import_: Import, tmp_path: Path, personas: str | bytes, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        import_(personas, GOOD_STATEMENTS)
    assert str(caught.value).startswith(f"{tmp_path}/{complaint}"), str(caught.value)


@pytest.mark.parametrize(("statements", "complaint"), BAD_STATEMENTS)
def test_a_bad_statement_row_is_named(import_: Import, tmp_path: Path, statements: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        import_(GOOD_PERSONAS, statements)
    assert str(caught.value).startswith(f"{tmp_path}/{complaint}"), str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.csv: cannot be read: No such file"):
        import_steerability_eval(tmp_path / "nowhere.csv", tmp_path / "s.csv")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip)


@st.composite
def benchmarks(draw: st.DrawFn) -> ImportedBenchmark:
    ids = draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    names = draw(st.lists(NAMES, min_size=len(ids), max_size=len(ids), unique=True))
    personas = [ImportedPersona(i, "F", draw(NAMES), n) for i, n in zip(ids, names, strict=True)]
    statement_ids = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    statements = [
        ImportedStatement(i, draw(st.sampled_from(ids)), draw(NAMES), draw(st.booleans())) for i in statement_ids
    ]
    return ImportedBenchmark("any", tuple(personas), tuple(statements))


@settings(max_examples=60, deadline=None)
@given(benchmarks())
def test_what_was_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, benchmark: ImportedBenchmark
) -> None:
    folder = tmp_path_factory.mktemp("data") / "imports"
    written = write_import(benchmark, folder)
    assert written == folder / "imported_any"
    assert read_import(written) == benchmark


def test_a_second_import_replaces_the_first_and_leaves_nothing_else(import_: Import, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "imports"
    write_import(import_(GOOD_PERSONAS, GOOD_STATEMENTS), folder)
    fewer = import_(GOOD_PERSONAS, "\n".join(GOOD_STATEMENTS.splitlines()[:2]))
    target = write_import(fewer, folder)
    assert read_import(target) == fewer
    assert sorted(path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*")) == [
        Path("imports"), Path("imports/imported_steerability_eval"), Path("imports/imported_steerability_eval") / FILE
    ]  # fmt: skip


def test_equal_imports_have_equal_bytes(import_: Import, tmp_path: Path) -> None:
    benchmark = import_(GOOD_PERSONAS, GOOD_STATEMENTS)
    one, other = (write_import(benchmark, tmp_path / name / "imports") / FILE for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()


def test_a_failed_write_keeps_the_old_import(import_: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "imports"
    benchmark = import_(GOOD_PERSONAS, GOOD_STATEMENTS)
    target = write_import(benchmark, folder)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("influence_assets.personas.importers.os.fsync", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_import(import_(GOOD_PERSONAS, "\n".join(GOOD_STATEMENTS.splitlines()[:2])), folder)
    assert read_import(target) == benchmark
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imports"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_import_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"benchmark.parquet: is not a stored import: .*; import the benchmark again"):
        read_import(tmp_path)


def test_a_name_is_not_a_path(import_: Import, tmp_path: Path) -> None:
    import_(GOOD_PERSONAS, GOOD_STATEMENTS)
    with pytest.raises(InputError, match="is no name for an import"):
        import_steerability_eval(tmp_path / "p.csv", tmp_path / "s.csv", name="../x")


JUNK = [
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b" ",
    b"t1",
]
JUNK += [
    b"x" * 140_000,
    b"," * 50,
    b'"\n"',
    b"True",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b"=1+1",
    b"\\",
    b"'",
    b"NaN",
    b"\x0b",
]


def _mutated(random_: random.Random, raw: bytes) -> bytes:
    for _ in range(random_.randint(1, 3)):
        lines = raw.splitlines(keepends=True) or [b""]
        at, cut = random_.randrange(len(lines)), random_.randrange(len(raw) + 1)
        kind = random_.randrange(6)
        if kind == 0:
            raw = b"".join(lines[:at] + lines[at + 1 :])
        elif kind == 1:
            raw = b"".join([*lines, lines[at]])
        elif kind == 2:
            raw = raw[:cut] + random_.choice(JUNK) + raw[cut:]
        elif kind == 3:
            raw = raw[:cut] + raw[cut + random_.randint(1, 12) :]
        elif kind == 4:
            fields = lines[at].split(b",")
            fields[random_.randrange(len(fields))] = random_.choice(JUNK)
            raw = b"".join([*lines[:at], b",".join(fields), *lines[at + 1 :]])
        else:
            raw = raw[:cut] + bytes([random_.randrange(256)]) + raw[cut:]
    return raw


def test_500_mutated_files_import_or_are_refused_in_one_line(import_: Import, tmp_path: Path) -> None:
    random_ = random.Random(0)
    imported = 0
    for index in range(500):
        files = [GOOD_PERSONAS.encode(), GOOD_STATEMENTS.encode()]
        files[index % 2] = _mutated(random_, files[index % 2])
        started = time.thread_time()  # of this thread: what others do meanwhile is no fault of a file
        complaint: str | None = None
        try:
            benchmark = import_(files[0], files[1])
        except InputError as error:
            complaint = str(error)
        else:
            target = write_import(benchmark, tmp_path / "data" / "imports")
            assert read_import(target) == benchmark
            assert len(benchmark.framework().personas) == len(benchmark.personas)
            assert sum(len(framework.personas) for framework in benchmark.frameworks().values()) == len(
                benchmark.personas
            )
        assert time.thread_time() - started < 1
        imported += complaint is None
        ours = (f"{tmp_path}/p.csv", f"{tmp_path}/s.csv")
        assert complaint is None or (complaint.startswith(ours) and complaint.isprintable()), complaint
        assert len(complaint or "") < 1000
    assert 25 < imported < 450
