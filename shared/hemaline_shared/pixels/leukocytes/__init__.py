"""Finding white cells in a field: by rules, by a small network, or by both."""

from hemaline_shared.pixels.leukocytes.choosing import FinderKind, finder_of_kind
from hemaline_shared.pixels.leukocytes.combined import CombinedFinder
from hemaline_shared.pixels.leukocytes.finder import ClassicalFinder
from hemaline_shared.pixels.leukocytes.learned import LearnedFinder

__all__ = [
    "ClassicalFinder",
    "CombinedFinder",
    "FinderKind",
    "LearnedFinder",
    "finder_of_kind",
]
