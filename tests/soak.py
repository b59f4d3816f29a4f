"""A study that is run again and again while its provider fails and its process is killed, for as long as one likes.

    python -m tests.soak --minutes 60

Every round is a study of its own (another seed) in one project that grows old, on a server of which one try in five
fails. The command is killed at random moments and then run to its end; the same study runs in a fresh folder without
a kill. Both must land the same bytes, no question may be paid for twice, a reader that held the catalogue open must
see what it saw, and nothing may be left behind: no process, no scratch file, no growth but that of the data.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import yaml

from tests.e2e.influence_projects import landed, paid_twice
from tests.projects import COPIED, FEATURES, command, environment
from tests.servers import rehearsal
from tests.servers.faulty import FAST, draw
from tests.servers.scripted import Answer, Asked, ServerProcess

CHECKOUT = Path(__file__).resolve().parents[1]
SELECTION = "group:personas or group:steerability"
EVERYTHING = "SELECT table_name, partition, data_version FROM _catalog.files ORDER BY ALL"
PATIENCE_S = 600
_tries: Counter[str] = Counter()


def stormy(asked: Asked) -> Answer:
    """The rehearsal's answers; one try in five fails, drawn from the question and how often it was asked."""
    question = f"{asked.body.get('seed')} {asked.messages}"
    _tries[question] += 1
    if draw(asked, f"soak {_tries[question]} {asked.body.get('seed')}") < 0.2:
        return FAST[int(draw(asked, f"how {_tries[question]}") * len(FAST))](asked)
    return rehearsal.answer(asked)


@dataclass
class Tally:
    """What was done, for the summary."""

    rounds: int = 0
    kills: int = 0
    ended_before: int = 0


def build(root: Path, url: str) -> Path:
    """A small study of one model behind the server, which plays every part."""
    for name in COPIED:
        shutil.copytree(CHECKOUT / "data" / name, root / "data" / name)
    shutil.copyfile(CHECKOUT / "data" / "aspects.yaml", root / "data" / "aspects.yaml")
    far = {"name": "far", "provider": "openai", "model": "m", "base_url": url}
    (root / "data" / "models.yaml").write_text(yaml.safe_dump({"models": [far]}))
    return root


def write_study(root: Path, seed: int) -> None:
    settings = yaml.safe_load((CHECKOUT / "data" / "study.yaml").read_text())
    settings["roles"] = {role: ["far"] for role in settings["roles"]}
    settings["seed"], settings["features"] = seed, FEATURES
    settings["personas"] |= {"per_framework": 4, "agree_per_persona": 4}
    settings["steerability"] |= {"methods": ["none", "description", "examples"], "draws": 100}
    (root / "data" / "study.yaml").write_text(json.dumps(settings))


def start(root: Path) -> subprocess.Popen[bytes]:
    with (root / "run.log").open("ab") as log:
        return subprocess.Popen(
            command("run", SELECTION), cwd=root, env=environment(root), stdout=log, stderr=log, start_new_session=True
        )


def to_the_end(root: Path) -> float:
    """Run to the end; the seconds it took."""
    began = time.monotonic()
    code = start(root).wait(timeout=PATIENCE_S)
    assert code == 0, (root / "run.log").read_text()[-4000:]
    return time.monotonic() - began


def one_round(old: Path, url: str, seed: int, rng: random.Random, tally: Tally) -> None:
    """One study: uninterrupted in a fresh folder, killed up to four times in the old one."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        fresh = build(Path(folder), url)
        write_study(fresh, seed)
        duration = to_the_end(fresh)
        write_study(old, seed)
        reader = _reader(old)
        before = reader.execute(EVERYTHING).fetchall() if reader else None
        for _ in range(rng.randint(1, 4)):
            process = start(old)
            time.sleep(rng.uniform(0.2, 1.0) * duration)
            process.kill()
            killed = process.wait(timeout=30) == -signal.SIGKILL
            _nobody_is_left(process.pid)
            tally.kills += killed
            tally.ended_before += not killed
        to_the_end(old)
        if reader:
            assert reader.execute(EVERYTHING).fetchall() == before, "an open reader saw a change"
            reader.close()
        assert landed(old) == landed(fresh), "other bytes than an uninterrupted run"
        assert paid_twice(old) == []
    tally.rounds += 1


def _nobody_is_left(session: int) -> None:
    """Whoever the killed process had started must end with it."""
    end = time.monotonic() + 10
    while left := [one for one in psutil.pids() if _session_of(one) == session]:
        assert time.monotonic() < end, f"{left} outlived the command that started them"
        time.sleep(0.1)


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _reader(root: Path) -> duckdb.DuckDBPyConnection | None:
    catalogue = root / "data" / "influence.duckdb"
    return duckdb.connect(str(catalogue), read_only=True) if catalogue.exists() else None


def soak(minutes: float, seed: int) -> str:
    """Rounds until the time is over, the last one whole; says what was done."""
    server, rng, tally = ServerProcess(stormy), random.Random(seed), Tally()
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="soak-old-") as folder:
            old = build(Path(folder), server.openai_url)
            while time.monotonic() - began < 60 * minutes or not tally.rounds:
                one_round(old, server.openai_url, tally.rounds, rng, tally)
                print(f"round {tally.rounds}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            cache = (old / "data" / "cache" / "replies.sqlite").stat().st_size / 2**20
            scratch = len([*(old / "data" / "warehouse" / "scratch").rglob("*.part*")])
        stats = server.stats()
    finally:
        server.close()
    failed = sum(n for name, n in stats.items() if name.startswith("status_") and name != "status_200")
    return (
        f"{tally.rounds} rounds in {(time.monotonic() - began) / 60:.0f} minutes, {tally.kills} kills"
        f" ({tally.ended_before} came too late), {stats['count']} calls of which {failed} had an error status;"
        f" reply cache {cache:.1f} MiB, {scratch} scratch files"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(soak(given.minutes, given.seed))
