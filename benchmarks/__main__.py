"""`make bench`: every benchmark at its full size, one after the other, into benchmarks/results.md.

Each runs in a process of its own and prints ratios against something else in the same run. A benchmark that fails is
named in the results and makes the command fail; the others still run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = {
    "definitions_load": "Loading the definitions (target: < 2 s more than `import dagster`)",
    "client_overhead": "CPU per call with all bookkeeping against the bare SDK (target: <= 1.5x)",
    "cache_million": "Reply cache with 1 M entries (target: p99 < 2 ms)",
    "shared_replies": "Replies in a Postgres against the SQLite file",
    "warehouse_write": "Writing 1 M rows against a raw write (target: <= 1.3x)",
    "lake_landing": "Landing rows in a DuckLake against files",
    "matrix_scores": "Scores of a 100 x 100 matrix with 1,000 draws (target: < 5 s)",
    "prefix_sharing": "Matrix of a 30 M-parameter model (targets: >= 12x, >= 7x, tokens <= 1.15 x unique)",
    "local_generation": "Joined decoding against lock-step batches (target: >= 1.5x)",
    "steered_generation": "Steered generation against unsteered (target: <= 1.10x)",
    "activations": "Activations of a text set against bare forward passes (target: <= 1.15x)",
    "rollout_scheduling": "1,000 conversations over HTTP (targets: <= 1.05 of the bound, >= 4x lock-step)",
    "sae_training": "Training an SAE against bare forward passes (target: <= 1 pass a token, variance >= .9)",
    "sql_million": "SQL over 1 M conversations, 10 M turns (targets: < 1 s, < 100 ms)",
    "diversity_filter": "Diversity filter, 100,000 statements (targets: < 1 GiB, growth < n^1.3)",
}
PACKAGES = ("dagster", "duckdb", "polars", "torch", "transformers", "openai", "numpy", "scipy")


def machine() -> str:
    """The machine and the versions that the figures belong to."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}\n\n{versions}"
    )


def main() -> int:
    """Run the named benchmarks (all when none is named); returns the number of failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run; all when none is named")
    parser.add_argument("--out", type=Path, default=HERE / "results.md")
    arguments = parser.parse_args()
    names = arguments.names or list(BENCHMARKS)
    parts = [f"# Benchmarks\n\nMeasured on {datetime.now(UTC):%Y-%m-%d} by `make bench`.\n\n{machine()}"]
    failures = 0
    for name in names:
        print(f"{name} ...", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], capture_output=True, text=True, check=False, cwd=HERE.parent
        )
        seconds = time.monotonic() - began
        output = done.stdout.strip() if done.returncode == 0 else f"FAILED\n{done.stderr.strip()[-2000:]}"
        failures += done.returncode != 0
        parts.append(f"## {BENCHMARKS[name]}\n\n`python -m benchmarks.{name}`, {seconds:.0f} s\n\n```\n{output}\n```")
        print(output, flush=True)
        arguments.out.write_text("\n\n".join(parts) + "\n")
    print(f"written to {arguments.out.name}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
