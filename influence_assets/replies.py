"""Opening the reply store that the study names, and bringing replies over when that has changed.

A file beside the SQLite file says which store was used last, so that each machine's own file (`INFLUENCE_CACHE`) is
brought over once. The old store stays as it is.
"""

from __future__ import annotations

import logging
from pathlib import Path

from influence_assets.machines import RepliesSettings, from_environment
from influence_assets.marker import Marker
from resources.errors import InputError
from resources.postgres import Server
from resources.replymove import bring_over
from resources.replystore import ReplyStore

_LOG = logging.getLogger(__name__)
_FIELD = "replies.url_env"


def open_replies(path: Path, settings: RepliesSettings) -> ReplyStore:
    """The store that `settings` name, with all that was in the one before. `path` is where the SQLite file lies.

    Raises `InputError` when the environment lacks the URL, or a change could not be carried out.
    """
    store = reply_store(path, settings)
    marker = Marker(_marker_path(path), RepliesSettings(), fix="remove it; the SQLite file is then brought over again")
    if marker.read() != settings:
        with marker.lock():
            before = marker.read()
            if before != settings:
                _move(path, before, settings, store)
                marker.write(settings)
    return store


def reply_store(path: Path, settings: RepliesSettings) -> ReplyStore:
    """The store by itself; a server is connected to at first use."""
    if settings.kind == "sqlite":
        from resources.replyfile import ReplyFile

        return ReplyFile(path)
    from resources.replyserver import ReplyServer

    return ReplyServer(server(settings))


def server(settings: RepliesSettings) -> Server:
    """The database that the environment names; an `InputError` where it does not, or psycopg2 is missing."""
    found = Server(from_environment(settings.url_env, _FIELD), _FIELD, settings.url_env)
    found.check()
    return found


def _move(path: Path, before: RepliesSettings, now: RepliesSettings, store: ReplyStore) -> None:
    try:
        brought = bring_over(reply_store(path, before), store)
    except InputError as error:
        behind = f"; to leave the replies of the old store behind, delete {_marker_path(path)}"
        raise InputError(
            f"replies go from {before.kind} to {now.kind}, and could not be brought over: {error}",
            place="data/study.yaml",
            field="replies",
            value=now.kind,
            fix="mend that" + (behind if before.kind != "sqlite" else ""),
        ) from None
    if brought.replies or brought.requests:
        _LOG.warning(
            "replies: %d replies and %d rows of the ledger brought over from %s to %s",
            brought.replies,
            brought.requests,
            before.kind,
            now.kind,
        )


def _marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".home.json")
