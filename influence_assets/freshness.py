"""Which partitions are out of date: their rows were made from other inputs than there are now.

Judged by the warehouse and the files alone, as a run does, so it agrees with what a run would do: a partition that is
called fresh here would be reused there.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from influence_assets.project import Project
from influence_assets.recipes import RECIPES, WRITERS
from influence_assets.slices import DIMENSIONS
from influence_assets.standing import Standing
from resources.errors import InputError

Place = tuple[dg.AssetKey, str]
"""An asset and one of its partitions."""


class Freshness:
    """What is fresh at one moment; everything is looked at once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._current: dict[Place, bool] = {}
        self._fresh: dict[Place, bool] = {}

    def is_fresh(self, place: Place) -> bool:
        """Whether the rows are there, made from the inputs that there are now, and so is everything above them."""
        if place not in self._fresh:
            self._fresh[place] = self.is_current(place) and all(map(self.is_fresh, self.parents(place)))
        return self._fresh[place]

    def is_settled(self, place: Place) -> bool:
        """Whether it was made before and everything above it is fresh: made anew, its rows would be right."""
        landed = all(pointer is not None for _, pointer in self._standing(place).pointers())
        return landed and all(map(self.is_fresh, self.parents(place)))

    def is_current(self, place: Place) -> bool:
        """Whether the rows are there and were made from the inputs that there are now, fresh or not."""
        if place not in self._current:
            recipe, standing = RECIPES[place[0]], self._standing(place)
            try:
                self._current[place] = standing.landed_from(recipe.inputs(standing))
            except InputError:
                # Something that it is made from is missing or cannot be read: a run says what.
                self._current[place] = False
        return self._current[place]

    def parents(self, place: Place) -> Iterator[Place]:
        """The partitions of other assets that a partition reads."""
        standing = self._standing(place)
        for one in standing.reads:
            key, _ = WRITERS[one.key]
            for partition in standing.partitions_of(one):
                yield key, next(partition[name] for name in DIMENSIONS if name in partition)

    def _standing(self, place: Place) -> Standing:
        key, partition = place
        return RECIPES[key].standing(key, partition, self._project)
