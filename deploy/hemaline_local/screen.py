"""What the one-machine commands show on a terminal, 80 characters wide or more."""

from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from hemaline_local.results import SlideReport, total

_ROWS = 12


def progress_table(reports: Sequence[SlideReport]) -> Table:
    """Return the slides under way; of many, the ones that still change and the latest."""
    changing = [report for report in reports if not report.complete]
    return _table("Slides under way", (changing or reports)[:_ROWS], reports)


def results_table(reports: Sequence[SlideReport]) -> Table:
    """Return every slide's result."""
    return _table("Results", reports, reports)


def flag_lines(reports: Sequence[SlideReport]) -> list[Text]:
    """Say each flag once, with the number of slides that carry it."""
    texts = {code: text for report in reports for code, text in report.flags.items()}
    slides = Counter(code for report in reports for code in report.flags)
    return [
        Text.assemble(
            (code, "yellow"), f" ({slides[code]} of {len(reports)} slides): {texts[code]}"
        )
        for code in sorted(texts)
    ]


def _table(title: str, shown: Sequence[SlideReport], everything: Sequence[SlideReport]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Slide", no_wrap=True)
    table.add_column("From", overflow="ellipsis", no_wrap=True, max_width=20)
    for name in ("Captured", "Result", "Rejected", "Quarant.", "Cells"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in shown:
        name = f"{report.device} · {report.label}" if report.label else report.device
        # A folder or column of a manifest may be called anything, `[/b]` too.
        table.add_row(report.accession, Text(name), *_numbers([report]))
    table.add_section()
    table.add_row(f"{len(everything)} slides", "", *_numbers(everything))
    return table


def _numbers(reports: Sequence[SlideReport]) -> list[str]:
    counts = total(reports)
    numbers = (counts.captured, counts.with_result, counts.rejected, counts.quarantined)
    return [*map(str, numbers), str(sum(report.cells for report in reports))]
