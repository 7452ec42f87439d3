"""Which finder runs: by rules, by a network, or by both."""

from typing import Literal, TypeAlias

from hemaline_shared.pixels.leukocytes.combined import CombinedFinder
from hemaline_shared.pixels.leukocytes.finder import ClassicalFinder
from hemaline_shared.pixels.leukocytes.learned import LearnedFinder
from hemaline_shared.pixels.types import LeukocyteFinder

FinderKind: TypeAlias = Literal["classical", "learned", "combined"]


def finder_of_kind(kind: FinderKind) -> LeukocyteFinder:
    """Return a new finder.

    Raises:
        PermanentError: `finder-weights`: the learned finder's network is missing or damaged.
    """
    if kind == "classical":
        return ClassicalFinder()
    return LearnedFinder() if kind == "learned" else CombinedFinder()
