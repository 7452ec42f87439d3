"""Which shares of the true classes agree with the labels that a classifier gave. Pure.

The labels of a slide's cells are drawn twice: the slide holds a sample of the blood's cells, and
the classifier errs. So the shares are solved for many times, each time with other label shares and
another confusion that the counts allow, and the spread of the solutions is the interval (Rogan and
Gladen 1978; the Monte Carlo form of Lang and Reiczigel 2014, for any number of classes).
`unclassified` is one of the labels: what it may hide is what the classes' confusion allows, and
cells beyond that, of which nothing is known, may be of any class.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.inference.roles import BundleRoles
from hemaline_shared.model_manifest import UNCLASSIFIED, Confusion

Draws: TypeAlias = NDArray[np.float64]
"""One number for each draw, shape (DRAWS,)."""
_Rows: TypeAlias = NDArray[np.float64]
"""Truth, answer, draw: shape (labels, labels + 1, DRAWS), each row a distribution."""


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    middle: float
    low: float
    high: float


DRAWS = 500
_SEED = 20
"""Fixed: the same labels give the same interval."""
_ROUNDS = 15
_IMAGINED_ERRORS = 2.0
"""Samples that each class has to its credit beside the real ones, spread over all answers: what
was never confused in few samples may still be."""
_SEEN, _UNSEEN_BLAST, _UNSEEN = 0.5, 1.0, 0.05
"""Cells imagined for each label: half a one for what was seen (Jeffreys); for a blast that was not
seen a whole one, so that none among n cells leaves 3.7 / n possible, as Clopper and Pearson do."""
_TINY = 1e-12


def true_shares(counts: Mapping[str, int], roles: BundleRoles) -> dict[str, Draws]:
    """Return the share of each true class among the counted cells, as often as it was drawn.

    Args:
        counts: How many counted cells got each label of the bundle, or `unclassified`; at least
            one.
        roles: Of the bundle that gave the labels.

    Returns:
        Label -> shares, and `unclassified` -> the share of cells of which nothing is known: more
        were unclassified than any class's confusion explains. In each draw all add up to 1.
    """
    dice = np.random.default_rng(_SEED)
    answers = (*roles.labels, UNCLASSIFIED)
    given = np.array([counts.get(answer, 0) for answer in answers], np.float64)
    blasts = np.array([answer in roles.blasts for answer in answers])
    imagined = np.where(given > 0, _SEEN, np.where(blasts, _UNSEEN_BLAST, _UNSEEN))
    labels = _normalised(dice.standard_gamma((given + imagined)[:, None], (len(answers), DRAWS)))
    return dict(zip(answers, _solve(_confusions(roles, dice), labels), strict=True))


def interval(draws: Draws, least: Draws | None = None, most: Draws | None = None) -> Estimate:
    """Return the middle of the draws and their 95 % interval.

    Four decimals: a processor's last bits are no part of a result.

    Args:
        draws: Of the likely values.
        least: The same draws at the lowest that is possible, where more than chance is unknown.
        most: At the highest.
    """
    return Estimate(
        _quantile(draws, 0.5),
        _quantile(draws if least is None else least, 0.025),
        _quantile(draws if most is None else most, 0.975),
    )


def _quantile(draws: Draws, part: float) -> float:
    return round(float(np.quantile(draws, part, method="weibull")), 4)


def _confusions(roles: BundleRoles, dice: np.random.Generator) -> _Rows:
    """Draw confusions: what the judging counts allow, and how this patient may differ from all."""
    confusion = roles.confusion
    known = _counts(confusion, roles.labels) / (confusion.design_effect if confusion else 1.0)
    credit = known + _IMAGINED_ERRORS / known.shape[1]
    rows = _normalised_rows(dice.standard_gamma(credit[:, :, None], (*known.shape, DRAWS)))
    if confusion and confusion.correlation > 0:
        # A slide is one patient's, whose cells are misread in a way of their own.
        alike = 1 / confusion.correlation - 1
        rows = _normalised_rows(dice.standard_gamma(np.maximum(rows * alike, 1e-3)))
    unknown = np.zeros((1, len(roles.labels) + 1, DRAWS))
    unknown[:, -1] = 1.0
    return np.concatenate([rows, unknown])


def _counts(confusion: Confusion | None, labels: tuple[str, ...]) -> NDArray[np.float64]:
    answers = (*labels, UNCLASSIFIED)
    rows = [(confusion.counts if confusion else {}).get(label, {}) for label in labels]
    return np.array([[row.get(answer, 0) for answer in answers] for row in rows], np.float64)


def _solve(rows: _Rows, labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the likeliest shares of the true classes, shape (labels, DRAWS).

    Expectation-maximisation keeps shares between 0 and 1; extrapolating each two steps makes it
    quick (SQUAREM: Varadhan and Roland 2008).
    """

    def step(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        expected = np.einsum("kjs,ks->js", rows, shares)
        explained = np.einsum("kjs,js->ks", rows, labels / np.maximum(expected, _TINY))
        return _normalised(shares * explained)

    shares = np.full((len(rows), DRAWS), 1 / len(rows))
    for _ in range(_ROUNDS):
        first = step(shares)
        second = step(first)
        change, turn = first - shares, second - 2 * first + shares
        length = np.sqrt((change**2).sum(axis=0) / np.maximum((turn**2).sum(axis=0), _TINY))
        length = np.maximum(length, 1.0)
        far = shares + 2 * length * change + length**2 * turn
        outside = (far < 0).any(axis=0)
        shares = step(np.where(outside, second, np.maximum(far, _TINY)))
    return shares


def _normalised(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(shares / np.maximum(shares.sum(axis=0), _TINY))


def _normalised_rows(rows: _Rows) -> _Rows:
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), _TINY))
