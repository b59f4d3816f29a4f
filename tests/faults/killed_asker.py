"""A process that asks and is killed: run by test_kill_seams.py as `killed_asker.py URL FOLDER SEAM NTH [postgres]`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Literal

from influence_assets.machines import RepliesSettings
from influence_assets.replies import reply_store
from tests.servers.asking import ask, layer, registry

QUESTIONS = 120
CONCURRENCY = 8


def main(url: str, folder: str, seam: str, nth: int, kind: Literal["sqlite", "postgres"] = "sqlite") -> None:
    """Ask everything; with a seam, kill this process without warning at its nth passing."""
    left = nth
    replies = reply_store(Path(folder) / "replies.sqlite", RepliesSettings(kind=kind))

    def on_seam(name: str) -> None:
        nonlocal left
        left -= name == seam
        if seam and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        models_ = registry(url, max_concurrency=CONCURRENCY)
        named = {"on_seam": on_seam, "run_id": f"{seam}{nth}", "replies": replies}
        async with layer(models_, Path(folder), **named) as models:
            half = [ask(f"q{n}") for n in range(QUESTIONS // 2)]
            await asyncio.gather(models.generate_many(half), models.choose_many(half, ("yes", "no")))

    asyncio.run(work())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
