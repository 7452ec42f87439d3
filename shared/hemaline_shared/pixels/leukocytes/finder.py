"""The classical finder: from a field to the boxes of its white cells."""

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.cells import enclosing_box
from hemaline_shared.pixels.leukocytes.evidence import confidences
from hemaline_shared.pixels.leukocytes.lobes import join_within_cells
from hemaline_shared.pixels.leukocytes.nuclei import find_nuclei
from hemaline_shared.pixels.leukocytes.pieces import WORKING_UM_PER_PX
from hemaline_shared.pixels.stain import STAINED, optical_density, purple
from hemaline_shared.pixels.types import Leukocyte, RgbImage, Scale

_SMOOTHING_UM = 0.36
"""Standard deviation: below the width of a lobe, above chromatin's grain and JPEG's blocks."""

_COARSEST_UM_PER_PX = 0.9
"""Where a nucleus is under 7 pixels across, it cannot be told from a platelet: nothing is found."""

_SURE_ENOUGH = 0.5
"""Confidence from which a candidate is reported: a hit is then likelier than a false alarm."""


class ClassicalFinder:
    """Finds white cells by the colour, size and shape of their nuclei. Deterministic."""

    name = "classical-1"

    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first; an empty list is an answer.

        Args:
            image: The field, shape (height, width, 3).
            scale: How large its pixels are; an error of a third is survived.
        """
        if scale.um_per_px > _COARSEST_UM_PER_PX:
            return []
        zoom = scale.um_per_px / WORKING_UM_PER_PX
        height, width = image.shape[:2]
        size = (max(8, round(width * zoom)), max(8, round(height * zoom)))
        method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        working = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
        sigma = _SMOOTHING_UM / WORKING_UM_PER_PX
        density = np.asarray(cv2.GaussianBlur(optical_density(working), (0, 0), sigma), np.float32)
        tint = purple(density)
        stained = (density.sum(axis=2) > STAINED).astype(np.uint8)
        nuclei = join_within_cells(find_nuclei(tint, stained), stained)
        found = [
            Leukocyte(enclosing_box(nucleus, stained, image.shape), confidence)
            for nucleus, confidence in zip(nuclei, confidences(nuclei, tint), strict=True)
            if confidence >= _SURE_ENOUGH
        ]
        return sorted(found, key=lambda cell: -cell.confidence)
