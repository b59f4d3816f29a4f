"""A Postgres server of its own for a test session: Debian's binaries, a new folder, a loopback port, a password."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "influence"


def binaries() -> Path | None:
    """Where the newest installed server's programs lie; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Postgres:
    """A running server. `stop` and `start` are a restart; what was committed is there again. `durable` survives a power
    cut as well, as a server that was installed does."""

    def __init__(self, *, durable: bool = False) -> None:
        found = binaries()
        assert found is not None
        self._bin, self._durable = found, durable
        # Not below pytest's folder, which other users may not enter: the server refuses to run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="influence-postgres-"))
        self._user = _unprivileged()
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self.password = "canary-" + secrets.token_hex(8)
        (self._folder / "password").write_text(self.password)
        (self._folder / "password").chmod(0o644)
        self._run(
            "initdb",
            *("-D", f"{self._folder}/data", "-U", USER, "-A", "scram-sha-256", "--pwfile", f"{self._folder}/password"),
            *("--no-sync", "-E", "UTF8", "--locale", "C"),
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._numbers = itertools.count()
        self.start()

    def start(self) -> None:
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
            f" -c fsync={'on' if self._durable else 'off'}"
        )
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-o", settings, "-l", f"{self._folder}/log", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-m", mode, "-w", "stop")

    def database(self) -> str:
        """A new, empty database; its URL, with the password in it."""
        name = f"test{next(self._numbers)}"
        url = f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}"
        subprocess.run(
            [str(self._bin / "psql"), "-q", f"{url}/postgres", "-c", f"CREATE DATABASE {name}"], check=True, timeout=30
        )
        return f"{url}/{name}"

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        who = self._user
        with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open as long as the server lives
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                cwd=self._folder,
                user=who and who.pw_name,
                group=who and who.pw_gid,
                extra_groups=[] if who else None,
                stdout=said,
                stderr=said,
                timeout=60,
                check=False,
            )
            said.seek(0)
            assert done.returncode == 0, said.read()


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as where the tests run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
