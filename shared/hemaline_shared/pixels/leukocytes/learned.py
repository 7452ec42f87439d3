"""The learned finder: from a field to the boxes of its white cells, through a small network."""

import hashlib
from importlib.resources import files

import cv2
import numpy as np

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.leukocytes.answers import MAPS, STRIDE, cells_of_answer
from hemaline_shared.pixels.leukocytes.view import view_of_field
from hemaline_shared.pixels.stain import FloatImage
from hemaline_shared.pixels.types import Leukocyte, RgbImage, Scale

WEIGHTS_FILE = "learned-1.onnx"
WEIGHTS_SHA256 = "f5f26a8b77ad7e91a1b68a3e1b07a2235a53aacd34fc1fdd9e254bb9d2b7cbc4"
"""Of the weights that this version was measured with; others would be another finder."""

COARSEST_UM_PER_PX = 0.9
"""As for the classical finder: beyond, a nucleus is under 7 pixels across."""

_SURE_ENOUGH = 0.5
"""Confidence from which a cell is reported: chosen on groups of the train split that the network
was not trained on (docs/leukocyte-finding.md)."""

_STRIP_PX = 512
_OVERLAP_PX = 96
"""A long view is answered in strips, so that memory does not grow with the camera. They overlap
by 29 µm: every cell lies whole, with its surroundings, in one of them."""


class LearnedFinder:
    """Finds white cells with a convolutional network that OpenCV runs on one core."""

    name = "learned-1"

    def __init__(self, weights: bytes | None = None, sure_enough: float = _SURE_ENOUGH) -> None:
        """Load the network.

        Args:
            weights: An ONNX graph to try in place of the one that is shipped; not for results.
            sure_enough: Confidence from which a cell is reported.

        Raises:
            PermanentError: `finder-weights`: the shipped file is missing or not the one measured.
        """
        graph = np.frombuffer(shipped_weights() if weights is None else weights, np.uint8)
        self._sure_enough = sure_enough
        try:
            self._network = cv2.dnn.readNetFromONNX(graph)
        except cv2.error as error:
            raise PermanentError(
                "finder-weights", f"OpenCV cannot read the finder's network: {error}"
            ) from error

    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first; an empty list is an answer.

        Args:
            image: The field, shape (height, width, 3).
            scale: How large its pixels are; an error of a third is survived.
        """
        if scale.um_per_px > COARSEST_UM_PER_PX:
            return []
        view, zoom = view_of_field(image, scale)
        return cells_of_answer(self._answer(view), zoom, image.shape, self._sure_enough)

    def _answer(self, view: FloatImage) -> FloatImage:
        """Return the network's maps for a view, shape (MAPS, rows / STRIDE, columns / STRIDE)."""
        rows, columns = (length // STRIDE for length in view.shape[1:])
        answer = np.zeros((MAPS, rows, columns), np.float32)
        step, half = (_STRIP_PX - _OVERLAP_PX), _OVERLAP_PX // 2
        for top in range(0, max(1, view.shape[1] - _OVERLAP_PX), step):
            strip = view[None, :, top : top + _STRIP_PX]
            self._network.setInput(np.ascontiguousarray(strip))
            given = np.asarray(self._network.forward()[0], np.float32)
            # The next strip sees more of what lies around the last rows of this one.
            skip = half // STRIDE if top else 0
            answer[:, top // STRIDE + skip : top // STRIDE + given.shape[1]] = given[:, skip:]
        return answer


def shipped_weights() -> bytes:
    """Return the network that comes with this package.

    Raises:
        PermanentError: `finder-weights`: it is missing or damaged.
    """
    file = files("hemaline_shared.pixels.leukocytes") / WEIGHTS_FILE
    try:
        weights = file.read_bytes()
    except OSError as error:
        raise PermanentError(
            "finder-weights", f"{WEIGHTS_FILE} is missing from the installation: install it anew."
        ) from error
    if hashlib.sha256(weights).hexdigest() != WEIGHTS_SHA256:
        raise PermanentError(
            "finder-weights",
            f"{WEIGHTS_FILE} is not the file that this version was measured with: install it anew.",
        )
    return weights
