"""Show what finders did on several data sets as a table of eighty characters."""

from collections.abc import Sequence

from rich.table import Table

from hemaline_train.finders.benchmark import FinderReport
from hemaline_train.finders.detection import Rates


def finder_table(title: str, reports: Sequence[FinderReport]) -> Table:
    """Return one row for each data set."""
    table = Table(
        title=title,
        caption="R recall, P precision, ms median for scale and finding of one image",
        box=None,  # eleven columns and their rules would not fit eighty characters
        padding=(0, 1, 0, 0),
    )
    table.add_column("data set", no_wrap=True)
    for heading in ("images", "cells", "found"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind in ("centre", "IoU.5"):
        for rate in ("R", "P", "F1"):
            table.add_column(f"{kind}\n{rate}", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for report in reports:
        counts = report.tally
        table.add_row(
            report.data_set,
            *(str(count) for count in (counts.images, counts.labelled, counts.found)),
            *_rounded(report.centre),
            *_rounded(report.iou),
            "-" if report.median_ms is None else f"{report.median_ms:.1f}",
        )
    return table


def _rounded(rates: Rates) -> list[str]:
    return [
        "-" if rate is None else f"{rate:.3f}" for rate in (rates.recall, rates.precision, rates.f1)
    ]
