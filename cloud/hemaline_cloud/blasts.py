"""The blasts of a slide against the thresholds: one rule for verdict, flag, urgency and text. Pure.

The rule: a threshold is passed, or not reached, when the whole interval lies on one side of it,
else it is undecided; with fewer than 100 named leukocytes every verdict is provisional.
"""

from math import ceil
from typing import Literal, NamedTuple

from hemaline_cloud.database.summary import BlastShare, Flag, ThresholdVerdict

ENOUGH_CELLS = 100
"""A differential counts 100 to 200 cells."""
MANY_CELLS = 1000
"""Nobody counts more to decide a threshold."""
WHO, WHO_2022 = "WHO 2022", 0.2
ICC, ICC_2022 = "ICC 2022", 0.1
THRESHOLDS = ((WHO, WHO_2022), (ICC, ICC_2022))


def thresholds(low: float, high: float) -> tuple[ThresholdVerdict, ...]:
    """Hold an interval of the blasts' share against both thresholds."""
    return tuple(held_against(name, threshold, low, high) for name, threshold in THRESHOLDS)


def held_against(name: str, threshold: float, low: float, high: float) -> ThresholdVerdict:
    """Hold an interval of the blasts' share against one threshold."""
    verdict = _verdict(threshold, low, high)
    return ThresholdVerdict(name=name, fraction=threshold, verdict=verdict)


def blast_urgency(blasts: BlastShare | None) -> int:
    """Return 3 over the WHO threshold, 2 over the ICC's or perhaps the WHO's, 1 for any blast.

    A provisional verdict is worth one less than a firm one: the first field of a slide is no
    reason to call it the most urgent for good.
    """
    if blasts is None or not blasts.cells:
        return 0
    verdicts = {one.name: one.verdict for one in blasts.thresholds}
    if verdicts[WHO] == "above":
        return 2 if blasts.provisional else 3
    if not blasts.provisional and (verdicts[ICC] == "above" or verdicts[WHO] == "undecided"):
        return 2
    return 1


class NotEnoughCells(NamedTuple):
    """A count that leaves something open which more cells may settle.

    Attributes:
        leukocytes: How many have a class.
        more: At least about so many more are wanted. None: more than anybody counts.
    """

    leukocytes: int
    more: int | None


def not_enough_cells(blasts: BlastShare | None) -> NotEnoughCells | None:
    """Return about how many more cells would decide; None where all is decided.

    It supposes that the share stays as it is, and that its interval narrows with the root of the
    number of cells. The part of it that comes from the classifier's errors narrows less: more
    cells than said may be needed, never fewer.
    """
    if blasts is None:
        return None
    open_ = [held.fraction for held in blasts.thresholds if held.verdict == "undecided"]
    if not open_ and not blasts.provisional:
        return None
    times = max((_times_the_cells(blasts, threshold) for threshold in open_), default=1.0)
    more = max(blasts.leukocytes * (times - 1), ENOUGH_CELLS - blasts.leukocytes, 1)
    return NotEnoughCells(blasts.leukocytes, None if more > MANY_CELLS else ceil(round(more, 3)))


def _times_the_cells(blasts: BlastShare, threshold: float) -> float:
    """Return how many times the cells would move the interval to one side of a threshold."""
    away = abs(blasts.fraction - threshold)
    side = blasts.high if blasts.fraction < threshold else blasts.low
    reach = abs(side - blasts.fraction)
    return float("inf") if not away else (reach / away) ** 2


def blast_flags(blasts: BlastShare | None) -> list[Flag]:
    """Return what a person must know of the blasts, the weightiest first."""
    if blasts is None or not blasts.cells:
        return []
    present = Flag(
        code="blasts-present",
        text=f"{blasts.cells} of {blasts.leukocytes} named leukocytes look like blasts: "
        "review them.",
    )
    told = _threshold_flag(blasts)
    return [told, present] if told else [present]


def _threshold_flag(blasts: BlastShare) -> Flag | None:
    verdicts = {one.name: one.verdict for one in blasts.thresholds}
    if verdicts[WHO] == "above":
        code, verdict = "blasts-over-who-threshold", "over the WHO threshold of 20 %"
    elif verdicts[WHO] == "undecided":
        code, verdict = "blasts-near-who-threshold", "perhaps over the WHO threshold of 20 %"
    elif verdicts[ICC] == "above":
        code, verdict = "blasts-over-icc-threshold", "over the ICC threshold of 10 %"
    elif verdicts[ICC] == "undecided":
        code, verdict = "blasts-near-icc-threshold", "perhaps over the ICC threshold of 10 %"
    else:
        return None
    if blasts.provisional:
        code = "blasts-provisional"
        verdict = f"{verdict}. Provisional: fewer than {ENOUGH_CELLS} cells have a class"
    # One decimal: 19.5 % must not read as the 20 % that it may or may not reach.
    share = f"{blasts.low:.1%} to {blasts.high:.1%} of the leukocytes"
    text = f"Blasts are {share} (95 % interval, estimate {blasts.fraction:.1%}), {verdict}."
    return Flag(code=code, text=text)


def _verdict(threshold: float, low: float, high: float) -> Literal["below", "undecided", "above"]:
    if low >= threshold:
        return "above"
    return "below" if high < threshold else "undecided"
