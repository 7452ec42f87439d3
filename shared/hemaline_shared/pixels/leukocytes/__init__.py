"""Finding white cells in a field: the classical finder, with nothing learned by a network."""

from hemaline_shared.pixels.leukocytes.finder import ClassicalFinder

__all__ = ["ClassicalFinder"]
