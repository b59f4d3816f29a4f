"""A local model behind the model layer: remembered like any other, and never loaded when nothing is to be asked."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from resources.messages import Message, OptionProbabilities, Reply, Request, Role, Sampling, Status
from resources.models import open_models
from resources.registry import ModelEntry, Registry
from resources.replyfile import ReplyFile

ROOT = Path(__file__).resolve().parents[3]
RERUN = """
import sys
from pathlib import Path
from tests.resources.local.test_local_through_layer import run
from tests.resources.local.conftest import entry_of
answers = run(entry_of(sys.argv[1]), Path(sys.argv[2]))
assert all(answer.cached for answer in answers), "something was asked again"
assert "torch" not in sys.modules, "the model was loaded for nothing"
"""


def run(entry: ModelEntry, folder: Path) -> list[Reply | OptionProbabilities]:
    """Forty questions of both kinds at once."""
    requests = [
        Request("m", (Message(role="user", content=f"would you say {'a ' * n}?"),), Role.AGENT, Sampling(max_tokens=4))
        for n in range(20)
    ]

    async def main() -> list[Reply | OptionProbabilities]:
        registry = Registry(models=(entry,))
        path = ReplyFile(folder / "replies.sqlite")
        async with open_models(registry, path, root=folder, run_id="r", asset="a", partition="m") as models:
            chosen, replies = await asyncio.gather(
                models.choose_many(requests, ("yes", "no", "10")), models.generate_many(requests)
            )
            return [*chosen, *replies]

    return asyncio.run(main())


def test_a_rerun_needs_no_model(
    models: Callable[[str], Path], entry: Callable[..., ModelEntry], tmp_path: Path
) -> None:
    directory = models("llama")
    answers = run(entry(directory), tmp_path)
    assert len({answer.request_id for answer in answers}) == 40
    for answer in answers[:20]:
        assert isinstance(answer, OptionProbabilities)
        assert answer.status in (Status.OK, Status.VOID)
        assert (answer.status is Status.OK) == (answer.mass >= 0.5)
        assert 0.0 < answer.mass <= 1.0
        assert not answer.probabilities or math.isclose(sum(answer.probabilities), 1.0)
    command = [sys.executable, "-c", RERUN, str(directory), str(tmp_path)]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
