"""Mean of one side minus mean of the other (Marks and Tegmark 2023; Belrose 2023 on why it is the one to beat)."""

from __future__ import annotations

from influence_assets.features.direction_contrast import Contrast, Found, unit
from influence_assets.features.direction_method import Reads


class DifferenceInMeans:
    """The direction is the difference; its norm is how far the two means lie apart."""

    name = "difference_in_means"
    reads = Reads.TEXT
    default = True
    paired = False
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        sides = contrast.sides
        return (unit(sides.difference_D(), layer=contrast.layer, magnitude=sides.magnitude, method=self.name),)


METHOD = DifferenceInMeans()
