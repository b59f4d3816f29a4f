"""A process that trains a tiny SAE and is killed: `python -m tests.features.killed_sae_training FOLDER STEP`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from influence_assets.features.sae_training import train_sae
from tests.features.sae_cases import tiny_job, tiny_model


def main(folder: Path, step: int) -> None:
    """Train with checkpoints; end this process without warning after `step` steps."""

    def on_progress(done: int, _total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    train_sae(tiny_model(), tiny_job(folder, architecture="batchtopk", checkpoint_every=3), on_progress)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
