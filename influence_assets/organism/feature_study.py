"""The study of features that the organism must pass: are the directions that were planted found, and do they steer?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from influence_assets.organism.shipped_studies import Rows, ShippedStudy, frame_markdown, table_markdown

FEATURES = ShippedStudy("features", replaced=("features",))


class Aim(NamedTuple):
    """One line of a table of aims: what must come out, and whether it did."""

    what: str
    measured: float
    wanted: str
    met: bool


def aims(found: Mapping[str, Rows]) -> Iterator[Aim]:
    """What the planted truth demands of the instruments (the worst of all traits each time)."""
    (row,) = found["aims"]
    for name, wanted, at_least, what in (
        ("worst_auroc", 0.9, True, "best latent of every pole, held-out AUROC, the lowest of 16"),
        ("explained_variance", 0.9, True, "SAE, explained variance on held-out chats"),
        ("worst_spearman", 0.9, True, "difference in means, Spearman over 9 coefficients, the lowest of 8 traits"),
        ("worst_z", 3.0, True, "difference in means, z against 32 random directions, the lowest of 8 traits"),
        ("worst_specificity", 2.0, True, "difference in means, specificity, the lowest of 8 traits"),
        ("highest_cosine", 0.0, False, "difference in means, cosine with the opposite pole, the highest of 16"),
    ):
        value = float(row[name])
        met = value >= wanted if at_least else value < wanted
        yield Aim(what, value, f"{'at least' if at_least else 'below'} {wanted:g}", met)


def aims_markdown(goals: Iterator[Aim]) -> str:
    """The table of aims."""
    rows = [[aim.what, f"{aim.measured:.3f}", aim.wanted, "yes" if aim.met else "**no**"] for aim in goals]
    return table_markdown(["aim", "measured", "wanted", "met"], rows)


def as_markdown(found: Mapping[str, Rows]) -> str:
    """The tables for the documentation."""
    if not found:
        return "The study has not been run on these weights; `influence organism features` runs it."
    parts = [
        aims_markdown(aims(found)),
        "Ways of steering toward the high pole, means over the eight traits. `shift at kl`: largest within .1 nat of "
        "KL on neutral text (a dash: none).",
        frame_markdown(found["methods"]),
        "Difference in means, trait by trait:",
        frame_markdown(found["traits"]),
        "The null: shifts of P(high) of every trait under each of the 32 random directions at the same coefficient.",
        frame_markdown(found["random"]),
        "The same directions as steering methods of the steerability family (agreement with persona statements):",
        frame_markdown(found["steerability"]),
    ]
    return "\n\n".join(parts)
