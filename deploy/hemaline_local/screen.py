"""What the one-machine commands show on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from hemaline_local.results import SlideReport, total

_ROWS = 12


def progress_table(reports: Sequence[SlideReport]) -> Table:
    """Return the slides under way; of many, the ones that still change and the latest."""
    table = _table("Slides under way")
    shown = [report for report in reports if not report.complete][:_ROWS]
    shown = shown or list(reports[-_ROWS:])
    for report in shown:
        _add(table, report)
    _add_total(table, reports)
    return table


def results_table(reports: Sequence[SlideReport]) -> Table:
    """Return every slide's result."""
    table = _table("Results")
    for report in reports:
        _add(table, report)
    _add_total(table, reports)
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("Slide", no_wrap=True)
    table.add_column("From", overflow="ellipsis", no_wrap=True, max_width=28)
    table.add_column("State")
    for name in ("Captured", "Result", "Rejected", "Quarantined", "White cells"):
        table.add_column(name, justify="right")
    table.add_column("Flags", overflow="fold")
    return table


def _add(table: Table, report: SlideReport) -> None:
    counts = report.counts
    table.add_row(
        report.accession,
        f"{report.device} · {report.label}",
        report.state,
        str(counts.captured),
        str(counts.with_result),
        str(counts.rejected),
        str(counts.quarantined),
        str(report.cells),
        ", ".join(report.flags),
    )


def _add_total(table: Table, reports: Sequence[SlideReport]) -> None:
    counts = total(reports)
    table.add_section()
    table.add_row(
        f"{len(reports)} slides",
        "",
        "",
        str(counts.captured),
        str(counts.with_result),
        str(counts.rejected),
        str(counts.quarantined),
        str(sum(report.cells for report in reports)),
        "",
    )
