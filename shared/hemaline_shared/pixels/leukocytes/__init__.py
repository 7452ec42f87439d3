"""Finding white cells in a field: the classical finder, and the learned one beside it."""

from hemaline_shared.pixels.leukocytes.choosing import FinderKind, finder_of_kind
from hemaline_shared.pixels.leukocytes.finder import ClassicalFinder
from hemaline_shared.pixels.leukocytes.learned import LearnedFinder

__all__ = ["ClassicalFinder", "FinderKind", "LearnedFinder", "finder_of_kind"]
