"""`hemaline demo`: microscopes send slides through the real pipeline, and a person watches."""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from hemaline_edge.spool.records import Slide
from hemaline_local.child import StoppedError
from hemaline_local.microscopes import Agents
from hemaline_local.results import SlideReport, read_slides, summary, total
from hemaline_local.screen import flag_lines, progress_table, results_table
from hemaline_local.system import OneMachine
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import accession

_POLL_S = 0.5
_REVIVALS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo ended: the slides, and whether each captured frame has its one state."""

    reports: list[SlideReport]

    @property
    def whole(self) -> bool:
        """Whether there is a slide, and no frame is missing or counted twice."""
        return bool(self.reports) and all(r.counts.unsettled == 0 for r in self.reports)

    def write(self, file: Path) -> None:
        """Write the counts as JSON.

        Raises:
            PermanentError: `summary-unwritable`.
        """
        try:
            file.write_text(json.dumps(summary(self.reports), indent=2) + "\n")
        except OSError as error:
            raise PermanentError(
                "summary-unwritable", f"{file} cannot be written: {error.strerror}"
            ) from error


class Demo:
    """Watches the agents' slides go through a running system, and keeps the system running."""

    def __init__(self, agents: Agents, machine: OneMachine, stopping: threading.Event) -> None:
        self._agents = agents
        self._machine = machine
        self._stopping = stopping
        self._revivals = 0
        self._told: set[tuple[str, str]] = set()

    def run(self, console: Console, deadline_s: float | None) -> Outcome:
        """Show progress until every frame is settled; then the results.

        Raises:
            PermanentError: `too-slow`, or an agent cannot work or keeps ending.
            StoppedError: somebody asked it to stop.
        """
        give_up = None if deadline_s is None else time.monotonic() + deadline_s
        reports: list[SlideReport] = []
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not self._finished(reports):
                if give_up is not None and time.monotonic() > give_up:
                    raise PermanentError("too-slow", f"not done after {deadline_s:.0f} s")
                if self._stopping.wait(_POLL_S):
                    self._machine.ask_to_stop()
                    raise StoppedError
                self._machine.revive()
                self._revive(live.console)
                reports = self._report()
                live.update(progress_table(reports))
                self._tell(reports, live.console)
        console.print(results_table(reports))
        for line in flag_lines(reports):
            console.print(line)
        return Outcome(reports)

    def _finished(self, reports: list[SlideReport]) -> bool:
        return self._agents.drained and all(report.complete for report in reports)

    def _report(self) -> list[SlideReport]:
        try:
            machine = self._machine
            seen = read_slides(machine.layout.api_port, machine.accounts.token)
        except OSError:  # the API is being started again; the next look tells more
            seen = {}
        return [self._join(device, slide, seen) for device, slide in self._agents.slides()]

    @staticmethod
    def _join(device: str, slide: Slide, seen: dict[str, dict[str, Any]]) -> SlideReport:
        key = str(slide.slide_id)
        if key in seen:
            return SlideReport.of(seen[key], slide.label, slide.frames)
        name = accession(slide.slide_id)
        return SlideReport.unseen(key, name, slide.label, device, slide.frames)

    def _revive(self, console: Console) -> None:
        for device in self._agents.revive():
            self._revivals += 1
            if self._revivals > _REVIVALS:
                tail = self._agents.log_tail(device)
                raise PermanentError("child-failed", f"{device} keeps ending:\n{tail}")
            console.print(f"{device} ended unexpectedly; starting it again")

    def _tell(self, reports: list[SlideReport], console: Console) -> None:
        """Give each slide's page when something of it has arrived, and its sums at its end."""
        for report in reports:
            name = report.accession
            if report.arrived and self._is_news(name, "arrived"):
                console.print(f"{name} arrives: {self._machine.layout.address}slides/{name}")
            if report.complete and self._is_news(name, "complete"):
                fields, cells = report.counts.with_result, report.cells
                made = f", revision {report.revision}" if report.revision else ""
                console.print(f"{name}: {fields} fields with a result, {cells} white cells{made}")

    def _is_news(self, name: str, what: str) -> bool:
        news = (name, what) not in self._told
        self._told.add((name, what))
        return news


def verdict(outcome: Outcome) -> str:
    """Say in one line whether everything adds up."""
    counts = total(outcome.reports)
    sums = (
        f"{counts.captured} captured = {counts.with_result} with a result "
        f"+ {counts.rejected} rejected + {counts.quarantined} quarantined"
    )
    if outcome.whole:
        return f"[green]Nothing lost:[/] {sums}."
    if not outcome.reports:
        return "[red]No image was captured:[/] is there one in the folder?"
    return f"[red]The counts do not add up:[/] {sums}, {counts.unsettled} unsettled."
