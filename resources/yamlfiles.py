"""Reading YAML that people edit: strict, bounded, and every complaint with file, line, field, value and fix.

Duplicate keys, anchors that multiply (alias bombs), non-string keys, NaN and oversized files are refused before a
schema sees them. Unknown keys are refused by the schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from resources.errors import InputError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 40

T = TypeVar("T", bound=BaseModel)

# Where each value stands: the path of keys and indices to its line.
Lines = dict[tuple[str | int, ...], int]


def load_yaml(path: Path, schema: type[T]) -> T:
    """The file as a value of `schema`, or an `InputError` that names file:line, field, value and fix."""
    tree, lines = read_tree(path)
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        raise _first_problem(path, lines, error) from None


def read_tree(path: Path) -> tuple[Any, Lines]:
    """The file as plain values, with the line of each."""
    node = _compose(path)
    lines: Lines = {}
    return (_build(path, node, (), lines) if node is not None else None), lines


def _compose(path: Path) -> yaml.Node | None:
    text = _text(path)
    try:
        _refuse_bombs(path, text)
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _syntax(path, text, error) from None


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=path, fix="create the file or mend its rights"
        ) from None
    if len(raw) > MAX_BYTES:
        raise InputError("is larger than 16 MiB", place=path, value=len(raw), fix="split it")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad, line = raw[error.start : error.start + 8], raw[: error.start].count(b"\n") + 1
        raise InputError("is not UTF-8", place=f"{path}:{line}", value=bad, fix="save it as UTF-8") from None


def _refuse_bombs(path: Path, text: str) -> None:
    # On events, before any node is made: the composer recurses in C, where deep nesting ends the process.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        place = f"{path}:{event.start_mark.line + 1}" if event.start_mark else str(path)
        if isinstance(event, yaml.AliasEvent):
            fix = "write the value out"
            raise InputError("aliases are not allowed", place=place, value=f"*{event.anchor}", fix=fix)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"is nested more than {MAX_DEPTH} deep", place=place, fix="flatten it")


def _syntax(path: Path, text: str, error: yaml.YAMLError) -> InputError:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    line = mark.line + 1 if mark else None
    if isinstance(error, yaml.reader.ReaderError):  # a character that YAML does not allow, by its place in bytes
        line = text.encode()[: error.position].count(b"\n") + 1
    place = f"{path}:{line}" if line else str(path)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return InputError(f"is not YAML: {problem}", place=place, fix="mend the syntax (indentation, quotes, colons)")


def _build(path: Path, node: yaml.Node, at: tuple[str | int, ...], lines: Lines) -> Any:
    line = node.start_mark.line + 1
    lines[at] = line
    if isinstance(node, yaml.MappingNode):
        return _mapping(path, node, at, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_build(path, item, (*at, i), lines) for i, item in enumerate(node.value)]
    value = _scalar(path, node, at, line)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(
            "is not a finite number", place=f"{path}:{line}", field=dotted(at), value=value, fix="write a number"
        )
    return value


def _mapping(path: Path, node: yaml.MappingNode, at: tuple[str | int, ...], lines: Lines) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = (
            _scalar(path, key_node, at, key_node.start_mark.line + 1) if isinstance(key_node, yaml.ScalarNode) else None
        )
        place = f"{path}:{key_node.start_mark.line + 1}"
        if not isinstance(key, str):
            raise InputError("the key is not a string", place=place, field=dotted(at), value=key, fix="quote it")
        if key in result:
            raise InputError(
                "the key stands twice", place=place, field=dotted((*at, key)), value=key, fix="keep one of them"
            )
        result[key] = _build(path, value_node, (*at, key), lines)
    return result


def _scalar(path: Path, node: yaml.Node, at: tuple[str | int, ...], line: int) -> Hashable:
    # A fresh constructor per scalar: the safe constructor knows null, bool, int, float, date and str, nothing else.
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError):
        # The last two: how the constructor meets `!!bool maybe`, `!!int ""` and `!!timestamp soon`.
        raise InputError(
            "is not a plain value",
            place=f"{path}:{line}",
            field=dotted(at),
            value=node.value,
            fix="quote it if it is text",
        ) from None
    if not isinstance(value, str | int | float | bool | None):
        raise InputError(
            "is neither text nor number", place=f"{path}:{line}", field=dotted(at), value=node.value, fix="quote it"
        )
    return value


def _first_problem(path: Path, lines: Lines, error: ValidationError) -> InputError:
    return first_problem(error, lambda at: f"{path}:{line_of(lines, at)}")


def line_of(lines: Lines, at: tuple[str | int, ...]) -> int:
    """The line of a value, or of the nearest one around it that the file holds."""
    return lines.get(next((at[:n] for n in range(len(at), -1, -1) if at[:n] in lines), ()), 1)


def first_problem(error: ValidationError, place: Callable[[tuple[str | int, ...]], str]) -> InputError:
    """The first complaint of a schema as our error; `place` says where a path of keys and indices stands."""
    first = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    at = (*first["loc"], *context.get("at", ()))
    problem, fix = _explain(first["type"], first["msg"])
    value = context.get("value") if "at" in context else first.get("input")
    return InputError(problem, place=place(at), field=dotted(at), value=value, fix=fix)


def problem_at(at: tuple[str | int, ...], problem: str, *, value: object, fix: str) -> PydanticCustomError:
    """What a validator of a whole model raises of one field in it; `load_yaml` then names that field and its line.

    `at` is the path of keys and indices from the model, as in `("personas", 3, "name")`.
    """
    return PydanticCustomError(
        "problem_at", "{problem}; {fix}", {"at": at, "problem": problem, "fix": fix, "value": value}
    )


def _explain(kind: str, message: str) -> tuple[str, str]:
    if kind == "extra_forbidden":
        return "is not a known field", "remove it or mend its spelling"
    if kind == "missing":
        return "is missing", "add it"
    if kind == "string_type":
        return "is not text", "quote it if it is meant as text"
    if kind in ("model_type", "dict_type"):
        return "is not a list of fields with values", "write `field: value` lines"
    text = message.removeprefix("Value error, ")
    problem, _, fix = text.partition("; ")
    return (problem[0].lower() + problem[1:], fix or "change the value")


def dotted(at: tuple[str | int, ...]) -> str:
    """`("personas", 2, "name")` as `personas[2].name`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
