"""Every promise tested to destruction: the long form of the tests in `promises.yaml`, and a summary of what they found.

    python -m tests.torture                        everything (`make torture`)
    python -m tests.torture --promise "names are"  the promises whose words hold these
    python -m tests.torture --soak 60              an hour of soak instead (`make torture SOAK=60`)

The summary goes to `build/torture.md`: a line per promise with tests, seconds and the figures that tests record. The
parts that were not run this time keep the lines that they had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
PROMISES = Path(__file__).with_name("promises.yaml")
BUILD = CHECKOUT / "build"
COUNTED = ("kills",)
"""Figures that are summed; all others are listed."""


def promises() -> dict[str, list[str]]:
    """Tests by promise."""
    return dict(yaml.safe_load(PROMISES.read_text()))


def run(files: Sequence[str], report: Path) -> int:
    """pytest over these files in their long form, one process; its exit code."""
    options = ["-p", "no:cacheprovider", "-o", "timeout=1800", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    environment = os.environ | {"INFLUENCE_TORTURE": "1", "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files], cwd=CHECKOUT, env=environment, check=False
    ).returncode


def summary(report: Path) -> str:
    """One line of what a report holds: tests, failures, seconds, figures."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    seconds = sum(float(case.get("time", 0)) for case in cases)
    sums, listed = Counter[str](), list[str]()
    for found in (one for case in cases for one in case.iter("property")):
        name, value = found.get("name", ""), found.get("value", "")
        if name in COUNTED:
            sums[name] += int(value)
        else:
            listed.append(f"{name}: {value}")
    state = f"{len(bad)} failed ({', '.join(bad[:5])})" if bad else "none failed"
    counted = [f"{value} {name}" for name, value in sums.items()]
    parts = [f"{len(cases)} tests", state, *([f"{skipped} skipped"] if skipped else []), f"{seconds:.0f} s"]
    return "; ".join([", ".join(parts), *counted, *listed])


def write(lines: dict[str, str]) -> None:
    """Bring the summary up to date: these lines, and the kept ones of promises that were not run."""
    kept = BUILD / "torture.json"
    before = json.loads(kept.read_text()) if kept.exists() else {}
    now = {name: lines.get(name, before.get(name)) for name in [*promises(), "soak"]}
    kept.write_text(json.dumps(now, indent=1))
    table = [f"| {name} | {line} |" for name, line in now.items() if line]
    (BUILD / "torture.md").write_text("\n".join(["| promise | long form |", "|---|---|", *table]) + "\n")


def main() -> int:
    """Run what was asked for; 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--promise", default="", help="only promises whose words hold this")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="soak for so long instead")
    given = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    if given.soak:
        from tests.soak import soak

        write({"soak": soak(given.soak, seed=int(time.time()))})
        return 0
    code = 0
    for name, files in promises().items():
        if given.promise in name:
            report = BUILD / f"torture-{name.replace(' ', '-').replace(',', '')}.xml"
            code = max(code, run(files, report))
            write({name: summary(report)})
    print((BUILD / "torture.md").read_text())
    return min(code, 1)


if __name__ == "__main__":
    sys.exit(main())
