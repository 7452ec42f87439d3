"""Classifiers of known error rates, as a bundle would describe them."""

import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.database.tally import CellCount, FieldCount, SlideTally
from hemaline_cloud.inference.roles import BundleRoles
from hemaline_shared.model_manifest import UNCLASSIFIED, Confusion

CELLS = ("blast", "neutrophil", "lymphocyte", "monocyte", "erythroblast", "smudge")
_BESIDE = frozenset({"erythroblast", "smudge"})


def confusion(
    labels: tuple[str, ...],
    counts: NDArray[np.int64],
    *,
    correlation: float = 0.0,
    design_effect: float = 1.0,
) -> Confusion:
    """What a manifest holds of judged samples: truth down, answers across, unclassified last."""
    answers = (*labels, UNCLASSIFIED)
    return Confusion(
        judged_on="drawn samples",
        counts={
            truth: {answer: int(n) for answer, n in zip(answers, row, strict=True) if n}
            for truth, row in zip(labels, counts, strict=True)
        },
        patients=10,
        correlation=correlation,
        design_effect=design_effect,
    )


def roles(labels: tuple[str, ...], counts: NDArray[np.int64] | None, **more: float) -> BundleRoles:
    """A trained bundle that was judged by so many samples, or by none."""
    told = confusion(labels, counts, **more) if counts is not None else None
    return BundleRoles(True, labels, frozenset({"blast"}), _BESIDE & set(labels), told)


def seldom_wrong(labels: tuple[str, ...] = CELLS, samples: int = 2000) -> BundleRoles:
    """A classifier that many samples showed to be all but perfect."""
    counts = np.zeros((len(labels), len(labels) + 1), int)
    np.fill_diagonal(counts, samples)
    return roles(labels, counts)


def tally_of(
    counts: dict[str, int], *, bundle: str = "b1", excluded: dict[str, int] | None = None
) -> SlideTally:
    """A slide whose counted cells got these labels; `excluded` is reason -> lymphocytes."""
    cells = [CellCount(f"id-{bundle}", bundle, True, label, n) for label, n in counts.items() if n]
    for reason, n in (excluded or {}).items():
        cells.append(CellCount(f"id-{bundle}", bundle, True, "lymphocyte", n, reason))
    return SlideTally(cells, [FieldCount("1", "classical-1", "0.1.0", 3)])
