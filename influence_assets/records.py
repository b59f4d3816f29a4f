"""Dagster's own records follow `records` in `data/study.yaml`: one marked block of `.dagster/dagster.yaml` is ours.

Everything else in that file belongs to whoever edits it. The block names the environment variable that holds the URL,
never the URL.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml

from influence_assets.machines import RecordsSettings, from_environment
from resources.durable import write_whole
from resources.errors import InputError, one_line

BEGIN = "# Where Dagster keeps its records: follows `records` in data/study.yaml. Edit that, not this.\n"
END = "# End of what follows `records`.\n"
SCHEME = "postgresql+psycopg2://"


def follow(settings_file: Path, records: RecordsSettings) -> None:
    """Bring Dagster's settings file up to the study's word. Raises `InputError` where the file says otherwise, the
    environment lacks the URL, or the package is missing."""
    text = settings_file.read_text(encoding="utf-8")
    own = _without_block(text)
    if records.kind == "sqlite":
        wanted = own
    else:
        checked_url(records)
        _refuse_two_words(settings_file, own)
        line_end = "" if own.endswith("\n") else "\n"
        wanted = f"{own}{line_end}{BEGIN}storage:\n  postgres:\n    postgres_url: {{env: {records.url_env}}}\n{END}"
    if wanted != text:
        write_whole(settings_file, wanted.encode(), settings_file.parent)


def reached(records: RecordsSettings) -> str:
    """Connect once and say to what; an `InputError` without the password where that does not work."""
    import psycopg2

    url = checked_url(records)
    try:
        connection = psycopg2.connect(url.replace("+psycopg2", "", 1), connect_timeout=10)
    except psycopg2.Error as error:
        told = one_line(str(error).strip().replace(url, "***"), 200)
        raise InputError(
            f"Postgres does not answer: {told}",
            place="data/study.yaml",
            field="records.url_env",
            value=records.url_env,
            fix="start it, or mend the URL in that variable",
        ) from None
    version = connection.server_version // 10_000
    connection.close()
    return f"version {version} answers"


def checked_url(records: RecordsSettings) -> str:
    """The URL in the environment; an `InputError` where it is missing or speaks to another driver."""
    if importlib.util.find_spec("dagster_postgres") is None:
        raise InputError(
            "records in Postgres need dagster-postgres",
            place="data/study.yaml",
            field="records",
            value="postgres",
            fix="pip install -c constraints.txt '.[cluster]'",
        )
    url = from_environment(records.url_env, "records.url_env")
    if not url.startswith(SCHEME):
        raise InputError(
            f"the variable {records.url_env} must hold a URL that begins with {SCHEME}",
            place="data/study.yaml",
            field="records.url_env",
            fix=f"export {records.url_env}={SCHEME}user:password@host/database",
        )
    return url


def _without_block(text: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + after if begin and end else text


def _refuse_two_words(settings_file: Path, own: str) -> None:
    if "storage" in (yaml.safe_load(own) or {}):
        raise InputError(
            "says itself where records are kept",
            place=settings_file,
            field="storage",
            fix="remove it there, or remove `records` from data/study.yaml",
        )
