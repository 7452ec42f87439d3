"""A slide's answers to the questions that are averaged over its cells or fields. Pure."""

import math
from collections.abc import Sequence

from hemaline_cloud.database.summary import AllSubtype, AplMean, Flag, SubtypeShare
from hemaline_cloud.database.tally import AnswerSum

APL_TASK, APL = "apl", "APL"
SUBTYPE_TASK = "all-subtype"
ENOUGH_APL_CELLS = 10
"""Fewer immature cells say too little of a patient to be averaged."""

_Z975 = 1.959963984540054


def apl_mean(sums: Sequence[AnswerSum]) -> AplMean | None:
    """Return the mean probability of APL over the cells that it is asked of, if they are enough."""
    found = [one for one in sums if (one.task, one.label) == (APL_TASK, APL)]
    if not found or found[0].answers < ENOUGH_APL_CELLS:
        return None
    mean, half = mean_and_half_width(found[0])
    return AplMean(
        cells=found[0].answers,
        probability=mean,
        low=max(0.0, mean - half),
        high=min(1.0, mean + half),
    )


def apl_flags(apl: AplMean | None, operating_point: float | None) -> list[Flag]:
    """Return the flag of a slide whose immature cells look like APL."""
    if apl is None or operating_point is None or apl.probability < operating_point:
        return []
    text = (
        f"If this is AML, it may be APL, an emergency: {apl.probability:.0%} on average over "
        f"{apl.cells} immature cells (95 % interval {apl.low:.0%} to {apl.high:.0%}), flagged from "
        f"{operating_point:.0%} on. Research use only."
    )
    return [Flag(code="apl-suspected", text=text)]


def all_subtype(sums: Sequence[AnswerSum]) -> AllSubtype | None:
    """Return the mean over fields of each subtype's probability, the largest first."""
    found = [one for one in sums if one.task == SUBTYPE_TASK]
    if not found:
        return None
    shares = [
        SubtypeShare(label=one.label, probability=float(one.total / one.answers)) for one in found
    ]
    shares.sort(key=lambda share: (-share.probability, share.label))
    return AllSubtype(fields=max(one.answers for one in found), shares=tuple(shares))


def mean_and_half_width(answers: AnswerSum) -> tuple[float, float]:
    """Return a mean and half its 95 % interval by Student's t; two answers at least."""
    number = answers.answers
    mean = answers.total / number
    variance = max(0.0, float((answers.squares - mean * answers.total) / (number - 1)))
    return float(mean), t_quantile(number - 1) * math.sqrt(variance / number)


def t_quantile(freedom: int) -> float:
    """Return Student's t at 97.5 % by the expansion about the normal quantile.

    Abramowitz and Stegun 26.7.5; within 0.0005 from nine degrees of freedom on.
    """
    z, v = _Z975, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
