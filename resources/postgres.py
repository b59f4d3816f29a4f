"""Connecting to a Postgres whose URL is a secret: no message ever holds it, or the password in it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from resources.errors import InputError, one_line

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

DRIVER = "+psycopg2"
_CONNECT_S = 10
# A connection whose other end is gone is noticed within half a minute, on either side.
_OURS = {
    "connect_timeout": _CONNECT_S,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_SPECIAL = set("/@?# \t")
"""Characters at which a URL ends its password, unless they are percent-encoded."""


@dataclass(frozen=True)
class Server:
    """A database, by libpq connection string or URI (`postgresql+psycopg2://` is understood as well). `setting` is the
    field of data/study.yaml that leads to it, `variable` the environment variable that holds it."""

    url: str = field(repr=False)
    setting: str
    variable: str

    def check(self) -> None:
        """An `InputError` where the driver is missing or the URL cannot be read, without connecting."""
        if importlib.util.find_spec("psycopg2") is None:
            fix = "pip install -c constraints.txt '.[cluster]'"
            raise InputError(
                "Postgres needs psycopg2", place="data/study.yaml", field=self.setting.partition(".")[0], fix=fix
            )
        import psycopg2
        from psycopg2.extensions import parse_dsn

        try:
            parse_dsn(self._dsn)
            readable = not _SPECIAL & set(_password_as_written(self._dsn))
        except psycopg2.Error:
            readable = False
        if not readable:
            # What libpq says of it would quote parts of it.
            raise InputError(
                f"the variable {self.variable} holds no connection string of Postgres",
                place="data/study.yaml",
                field=self.setting,
                fix=f"export {self.variable}=postgresql://user:password@host/database;"
                " in the password, / is %2F, @ %40, ? %3F, # %23",
            )

    def connect(self) -> PgConnection:
        """A connection in autocommit mode; raises what psycopg2 raises."""
        import psycopg2

        connection = psycopg2.connect(self._dsn, **_OURS)
        connection.autocommit = True
        return connection

    def version(self) -> int:
        """The major version of the server, which is connected to once; an `InputError` where it does not answer."""
        import psycopg2

        try:
            connection = self.connect()
        except psycopg2.Error as error:
            raise self.broken(error) from None
        try:
            return int(connection.server_version) // 10_000
        finally:
            connection.close()

    def broken(self, error: Exception, problem: str = "Postgres does not answer") -> InputError:
        """One line about what failed."""
        return InputError(
            f"{problem}: {one_line(hidden(str(error).strip(), self._dsn), 200)}",
            place="data/study.yaml",
            field=self.setting,
            value=self.variable,
            fix="start it, or mend the URL in that variable",
        )

    @property
    def _dsn(self) -> str:
        return self.url.replace(DRIVER, "", 1) if self.url.startswith(f"postgresql{DRIVER}:") else self.url


def hidden(text: str, dsn: str) -> str:
    """A message without the connection string and the password in it."""
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        password = str(parse_dsn(dsn).get("password", ""))
    except psycopg2.Error:
        password = ""
    for secret in (dsn, password, _password_as_written(dsn), unquote(_password_as_written(dsn))):
        text = text.replace(secret, "***") if secret else text
    return text


def _password_as_written(dsn: str) -> str:
    """What stands between the user and the host of a URL, up to the last @: more than libpq takes for the password
    where a character of it should have been encoded."""
    _, scheme, rest = dsn.partition("://")
    login, at, _ = rest.rpartition("@")
    return login.partition(":")[2] if scheme and at else ""
