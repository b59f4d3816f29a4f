"""Where tests of local models run: on the CPU, and on a GPU where the machine has one.

Entries of `data/models.yaml` that say nothing are on `device: auto`, so most tests of local models follow the machine.
Those that are marked here have a CPU to compare with.
"""

from __future__ import annotations

import shutil

import pytest

needs_gpu = pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA GPU")
