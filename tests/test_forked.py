"""Commands in forks: what the tests themselves stand on."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

from tests import forked


def test_what_lies_in_the_place_of_the_main_module_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.py"
    page.write_text("raise RuntimeError('the page ran')")
    main = types.ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    done = forked.run(("--help",), cwd=tmp_path, env=os.environ, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout.lower()
    assert sys.modules["__main__"] is main
