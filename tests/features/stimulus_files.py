"""Backgrounds of a small made-up world, as files and as values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from influence_assets.features.backgrounds import Factor

DATA = Path(__file__).parents[2] / "data"

TEMPER = """\
about: a toy world
factors:
  - name: temper
    about: how somebody takes things
    kind: trait
    opposites: [[hot, cold]]
    categories:
      hot: {about: shouts a lot, keyword: hot temper}
      cold:
        about: says little
        keyword: cold temper
        texts:
          - I wait and see.
          - I let it pass.
"""


def write_set(data: Path, name: str, text: str) -> Path:
    """A set of backgrounds in a data folder."""
    path = data / "backgrounds" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def factor(name: str, categories: Sequence[str], kind: str = "long_term") -> Factor:
    """A factor whose categories are told apart by their names."""
    return Factor.model_validate(
        {
            "name": name,
            "about": f"the {name} of a person",
            "kind": kind,
            "categories": {
                category: {"about": f"has {category} for {name}", "keyword": f"{category} {name}"}
                for category in categories
            },
        }
    )
