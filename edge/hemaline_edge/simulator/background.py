"""What lies between the leukocytes: red cells and platelets."""

import numpy as np
from numpy.typing import NDArray

from hemaline_edge.simulator.morphology import AZURE, BLUE, EOSIN
from hemaline_edge.simulator.shapes import blank_sheet, ellipse, grain, soft, wobble

RED_CELL_RADIUS_UM = 3.75


def draw_red_cell(rng: np.random.Generator, um_per_px: float) -> NDArray[np.float16]:
    """Draw a biconcave disc as haemoglobin, shape (side, side, 1).

    The thickness follows Evans and Fung (1972): thin in the middle, thickest half way out.
    """
    radius = RED_CELL_RADIUS_UM * rng.uniform(0.9, 1.1)
    sheet = wobble(rng, blank_sheet(2 * radius + 2.5, um_per_px), 5.0, rng.uniform(0.03, 0.16))
    outline = ellipse(sheet, (0, 0), (radius, radius * rng.uniform(0.88, 1.0)))
    middle = radius * rng.uniform(-0.08, 0.08, 2)
    reach = np.hypot(sheet.x - middle[0], sheet.y - middle[1]) / radius
    squared = np.clip(reach * reach, 0, 1)
    thickness = np.sqrt(1 - 0.97 * squared) * (0.207 + 2.003 * squared - 1.123 * squared**2)
    pallor = rng.uniform(0.55, 1.1)  # how far the middle is hollowed out
    depth = pallor * thickness / 0.66 + (1 - pallor) * 0.95
    rim = 0.2 * np.exp(-(((outline + 0.25) / 0.25) ** 2))  # refraction darkens the edge
    haemoglobin = (0.12 + 0.88 * depth + rim) * soft(outline, 0.35)
    return np.asarray(haemoglobin[..., np.newaxis], np.float16)


def draw_platelet(rng: np.random.Generator, um_per_px: float) -> NDArray[np.float16]:
    """Draw a platelet: pale, with a few azure granules; shape (side, side, 3)."""
    radius = rng.uniform(0.8, 1.5)
    sheet = blank_sheet(2 * radius + 2, um_per_px)
    body = ellipse(wobble(rng, sheet, 1.5, 0.2), (0, 0), (radius, radius * rng.uniform(0.7, 1)))
    mask = soft(body, 0.4)
    granules = np.clip(0.6 + 0.7 * grain(rng, sheet, 0.6), 0, 2)
    stain = np.zeros((*sheet.x.shape, 3), np.float32)
    stain[..., AZURE] = 0.45 * granules * soft(body + 0.3, 0.6)
    stain[..., BLUE] = 0.18 * mask
    stain[..., EOSIN] = 0.06 * mask
    return stain.astype(np.float16)
