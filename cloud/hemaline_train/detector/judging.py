"""Judge a detector on labelled images, as the finder would run it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from hemaline_shared.pixels.leukocytes.answers import cells_of_answer
from hemaline_shared.pixels.leukocytes.view import view_of_field
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import Leukocyte, RgbImage, Scale
from hemaline_train.data.manifest import LabelledImage
from hemaline_train.data.pictures import read_picture
from hemaline_train.detector.network import Detector, ServedDetector
from hemaline_train.finders.detection import Tally, rates, tally


class TorchFinder:
    """A network under training in a finder's place."""

    name = "learned-in-training"

    def __init__(self, network: Detector, sure_enough: float) -> None:
        self._served = ServedDetector(network).eval()
        self._sure_enough = sure_enough

    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first."""
        view, zoom = view_of_field(image, scale)
        with torch.inference_mode():
            answer = self._served(torch.from_numpy(view[None]))[0].numpy()
        return cells_of_answer(answer, zoom, image.shape, self._sure_enough)


def judge_detector(
    network: Detector, judged: Mapping[str, Sequence[LabelledImage]], sure_enough: float
) -> dict[str, float]:
    """Return F1 at an overlap of a half for each data set, and their mean."""
    finder = TorchFinder(network, sure_enough)
    figures = {}
    for name, images in judged.items():
        total = Tally()
        for image in images:
            pixels = read_picture(image.path)
            total += tally(finder.find(pixels, estimate_scale(pixels)), image.white_cells)
        figures[name] = rates(total.overlaps, total.labelled, total.found).f1
    known = {name: value for name, value in figures.items() if value is not None}
    return known | ({"mean": float(np.mean(list(known.values())))} if known else {})
