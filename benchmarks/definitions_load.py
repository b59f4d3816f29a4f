"""What loading the definitions adds to importing Dagster, in fresh processes, and whether anything heavy comes too."""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 7
HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "openai", "anthropic", "trl", "sae_lens")
_CODE = """
import sys, time
began = time.perf_counter()
import dagster
between = time.perf_counter()
import influence_assets.definitions
end = time.perf_counter()
print(between - began, end - between, *[name for name in {heavy!r} if name in sys.modules])
"""


def main() -> None:
    """Print medians and ranges over seven fresh processes."""
    rows = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _CODE.format(heavy=HEAVY)],
            capture_output=True,
            text=True,
            check=True,
        )
        first, second, *heavy = done.stdout.split()
        if heavy:
            raise SystemExit(f"heavy imports: {heavy}")
        rows.append((float(first), float(second)))
    for label, values in zip(("import dagster", "definitions on top"), zip(*rows, strict=True), strict=True):
        print(f"{label}: median {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})")
    print("heavy imports: none of " + ", ".join(HEAVY))


if __name__ == "__main__":
    main()
