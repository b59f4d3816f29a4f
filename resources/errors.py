"""The one exception root. Every error names the place, the field, the value and the fix.

`InputError` is what a person can mend by editing a file or an argument; the command line turns it into one line and
exit code 2. `BudgetError` is the study's own hard stop (exit code 3). Everything else that derives from
`InfluenceError` is a failed run (exit code 1). A reply that went wrong is not an error: it is a row with a status.
"""

from __future__ import annotations

from pathlib import Path


class InfluenceError(Exception):
    """Root of all errors that this project raises on purpose."""


class InputError(InfluenceError):
    """Something that a person wrote is wrong.

    `place` is `file` or `file:line`; `field` is the dotted path in it; `value` is what stood there; `fix` says what
    to write instead. The message is one line, whatever the value holds.
    """

    def __init__(
        self, problem: str, *, fix: str, place: str | Path = "", field: str = "", value: object = None
    ) -> None:
        self.problem, self.fix, self.place, self.field, self.value = problem, fix, str(place), field, value
        super().__init__(self._line())

    def _line(self) -> str:
        where = f"{self.place}: " if self.place else ""
        field = f"{_shortened(self.field)}: " if self.field else ""
        value = "" if self.value is None else f" (got {one_line(self.value)})"
        return printable(f"{where}{field}{self.problem}{value}; {self.fix}")


class BudgetError(InfluenceError):
    """The study's budget is used up; what was done so far is kept."""


class WarehouseError(InfluenceError):
    """A table could not be written, published or read as promised."""


def _shortened(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    """The text on one line, for a terminal: what people and models wrote may hold line breaks or control characters."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """`printable`, with the line breaks kept."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(value: object, limit: int = 80) -> str:
    """`repr` of a value on one printable line of at most `limit` characters."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
