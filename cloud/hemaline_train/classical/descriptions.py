"""The descriptions that several systems share, by name."""

from functools import partial
from pathlib import Path

from hemaline_train.classical.canny_watershed import segment_by_watershed
from hemaline_train.classical.described import Description
from hemaline_train.classical.features import describe_cells, describe_fields, describe_whole
from hemaline_train.classical.otsu import segment_by_otsu
from hemaline_train.classical.small_cnn import describe_pixels
from hemaline_train.judging.shortcuts import describe_colours, describe_corners, describe_rims
from hemaline_train.learning.frozen import frozen_features

OTSU_CELLS = Description("otsu-cells", describe_cells(segment_by_otsu))
WATERSHED_CELLS = Description("watershed-cells", describe_cells(segment_by_watershed))
WHOLE = Description("whole", describe_whole)
FIELDS = Description("fields", describe_fields)
PIXELS = Description("pixels", describe_pixels, kept=False)
COLOURS = Description("colours", describe_colours)
CORNERS = Description("corners", describe_corners)
RIMS = Description("rims", describe_rims)


def lite0_description(weights: Path | None) -> Description:
    """Return the description by EfficientNet-Lite0's frozen ImageNet features."""
    return Description("lite0", partial(frozen_features, "efficientnet-lite0", weights))
