"""A piece of a nucleus, and the scale at which nuclei are measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORKING_UM_PER_PX = 0.3
"""The scale of every map here: a nucleus is 25 pixels across, a lobe 6; the finest that stays
inside the time allowed for a field of 1440 x 900."""

UM2_PER_PX = WORKING_UM_PER_PX**2

_WHOLE_UM2 = 40.0
"""A compact nucleus of this area (7 µm across) is whole: it is nobody's lobe."""

_COMPACT = 0.88
"""Area over convex hull: no lobe chain is as full."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One connected piece of nucleus: an outline of shape (n, 1, 2) in working pixels."""

    outline: NDArray[np.int32]
    area_um2: float
    solidity: float
    cut_off: bool = False
    """Whether a watershed parted it from a nucleus that touches it."""

    @property
    def whole(self) -> bool:
        """Whether this is a nucleus by itself and not a lobe of one."""
        return self.cut_off or (self.area_um2 > _WHOLE_UM2 and self.solidity > _COMPACT)
