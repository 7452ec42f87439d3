"""The combined finder: what the network is sure of, and what two witnesses agree on."""

from dataclasses import replace

from hemaline_shared.pixels.leukocytes.finder import ClassicalFinder
from hemaline_shared.pixels.leukocytes.learned import LearnedFinder
from hemaline_shared.pixels.types import Box, Leukocyte, RgbImage, Scale

_SURE_ALONE = 0.6
"""Confidence from which the network needs no witness."""

_SURE_WITH_WITNESS = 0.3
"""Confidence from which it is believed where the classical finder sees a cell as well."""

_CLASSICAL_ALONE = 0.95
"""Confidence from which the classical finder is believed where the network sees nothing.

All three were chosen on fold 0 of the train groups, which the network was not trained on
(docs/leukocyte-finding.md)."""


class CombinedFinder:
    """Finds white cells with the network and, independently, by their nuclei's colour and shape.

    The network knows cells better, and boxes; the classical finder's rules hold where a
    laboratory's images look like none that the network learned from.
    """

    name = "combined-1"

    def __init__(self) -> None:
        """Load the network.

        Raises:
            PermanentError: `finder-weights`: it is missing or damaged.
        """
        self._learned = LearnedFinder(sure_enough=_SURE_WITH_WITNESS)
        self._classical = ClassicalFinder()

    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first; an empty list is an answer.

        Args:
            image: The field, shape (height, width, 3).
            scale: How large its pixels are; an error of a third is survived.
        """
        return agreed(self._learned.find(image, scale), self._classical.find(image, scale))


def agreed(learned: list[Leukocyte], classical: list[Leukocyte]) -> list[Leukocyte]:
    """Return the cells to report, with the network's boxes where it has any.

    Args:
        learned: The network's, down to the least confidence that a witness can lift.
        classical: The classical finder's.
    """
    cells = []
    for cell in learned:
        witnesses = [one.confidence for one in classical if _same_cell(cell.box, one.box)]
        if cell.confidence >= _SURE_ALONE or witnesses:
            cells.append(replace(cell, confidence=max([cell.confidence, *witnesses])))
    cells += [
        one
        for one in classical
        if one.confidence >= _CLASSICAL_ALONE
        and not any(_same_cell(cell.box, one.box) for cell in cells)
    ]
    return sorted(cells, key=lambda cell: -cell.confidence)


def _same_cell(one: Box, other: Box) -> bool:
    """Whether the middle of either box lies in the other."""
    return _holds(one, other.centre) or _holds(other, one.centre)


def _holds(box: Box, place: tuple[float, float]) -> bool:
    return box.left <= place[0] < box.right and box.top <= place[1] < box.bottom
