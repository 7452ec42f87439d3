"""How far a finder's F1 can be trusted: intervals from resampling whole groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_train.finders.benchmark import FinderReport
from hemaline_train.finders.detection import Tally, rates
from hemaline_train.judging.metrics import Interval, over_groups


@dataclass(frozen=True, slots=True)
class FinderIntervals:
    """F1 of one data set with its 95 % intervals; images of one group are not independent."""

    groups: int
    centre: Interval
    iou: Interval


def finder_intervals(report: FinderReport) -> FinderIntervals:
    """Resample the groups of a report's images."""
    tallies, groups = report.each, report.groups

    def centre(places: NDArray[np.intp]) -> float | None:
        total = _total(tallies, places)
        return rates(total.centre_hits, total.labelled, total.found).f1

    def iou(places: NDArray[np.intp]) -> float | None:
        total = _total(tallies, places)
        return rates(total.overlaps, total.labelled, total.found).f1

    if not tallies:
        nothing = Interval(None, None, None)
        return FinderIntervals(0, nothing, nothing)
    return FinderIntervals(len(set(groups)), over_groups(centre, groups), over_groups(iou, groups))


def interval_line(report: FinderReport) -> str:
    """Return a report's intervals as one line of text."""
    one = finder_intervals(report)
    return f"{report.data_set}, {one.groups} groups: F1 centre {one.centre}, IoU.5 {one.iou}"


def _total(tallies: Sequence[Tally], places: NDArray[np.intp]) -> Tally:
    return sum((tallies[place] for place in places.tolist()), Tally())
