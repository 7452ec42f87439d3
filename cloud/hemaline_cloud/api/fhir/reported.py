"""What a report tells of: the result that somebody signed, or else the current one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.api.words import humanise
from hemaline_cloud.database.reading.cells import all_cells
from hemaline_cloud.database.reading.slides import ResultRow, SlideRow
from hemaline_cloud.database.signing import signed_reports
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.review.reader_counts import summary_by_reader
from hemaline_cloud.review.report import NO_CLASS, SignedReport


@dataclass(frozen=True, slots=True)
class Reported:
    """A slide as its report tells of it.

    Attributes:
        slide: With the result of the signed revision, where there is one.
        signed: What was signed last.
        summary: The counts: the reader's, where they relabelled cells. None before a result.
        knows: Whether whoever asks may know whose blood it is.
        perhaps: Class -> counted cells without a class that are more likely of it than not.
    """

    slide: SlideRow
    signed: SignedReport | None
    summary: SlideSummary | None
    knows: bool = False
    perhaps: Mapping[str, int] = field(default_factory=dict)

    @property
    def order_id(self) -> UUID | None:
        """What the slide was made for: as signed, or now."""
        if self.signed:
            return self.signed.order.order_id if self.signed.order else None
        return self.slide.order_id

    @property
    def patient_id(self) -> UUID | None:
        """Whose blood it is, as signed, or now; None also where that may not be known."""
        if not self.knows:
            return None
        if self.signed:
            return self.signed.order.patient_id if self.signed.order else None
        return self.slide.patient_id

    @property
    def report_status(self) -> str:
        """R4's DiagnosticReport.status."""
        return self._status("partial")

    @property
    def observation_status(self) -> str:
        """R4's Observation.status."""
        return self._status("preliminary")

    @property
    def issued(self) -> datetime:
        """When it was signed, or computed."""
        if self.signed:
            return self.signed.signed_at
        assert self.slide.result
        return self.slide.result.computed_at

    @property
    def version(self) -> str:
        """Grows with each revision and each signature."""
        assert self.slide.result
        revision = str(self.slide.result.revision)
        return f"{revision}-{self.signed.signature_id}" if self.signed else revision

    @property
    def by_whom(self) -> str:
        """Who stands behind it, in a sentence."""
        if not self.signed:
            return "Unreviewed: nobody has signed this."
        verb = "Amended" if self.signed.amends else "Signed"
        why = f": {self.signed.reason}" if self.signed.reason else ""
        at = f"{self.signed.signed_at:%Y-%m-%d %H:%M} UTC"
        return f"{verb} by {self.signed.signed_by_name} at {at}{why}."

    @property
    def interval_words(self) -> str:
        """What the intervals hold."""
        if self.signed and self.signed.counted_by_reader:
            return "Counted by the reader; the 95 % interval holds the counting error."
        return "The 95 % interval holds the counting error and the classifier's."

    @property
    def pattern_words(self) -> list[str]:
        """Which patterns the reader let the report tell of; empty where they kept none."""
        kept = self.signed.kept_patterns if self.signed else None
        if kept is None or self.signed is None or self.signed.patterns is None:
            return []
        names = [f"{humanise(one.verdict).lower()} {one.name}" for one in kept.fitting]
        said = ", ".join(names) or "fits none of them"
        provisional = " (provisional)" if kept.provisional else ""
        return [f"Patterns that the reader kept{provisional}: {said}.", self.signed.patterns.notice]

    def _status(self, unsigned: str) -> str:
        if not self.signed:
            return unsigned
        return "amended" if self.signed.amends else "final"


def reported(connection: Connection, slides: Iterable[SlideRow]) -> Iterator[Reported]:
    """Yield each slide as its report tells of it."""
    rows = list(slides)
    signed = signed_reports(connection, [row.slide_id for row in rows])
    for row in rows:
        report = signed.get(row.slide_id)
        if report:
            yield Reported(replace(row, result=_result(report)), report, summary_by_reader(report))
        else:
            yield Reported(row, None, _summary(row.result))


def with_perhaps(connection: Connection, told: Reported) -> Reported:
    """Return an unsigned report with what its cells without a class perhaps are.

    Of a signed one nothing is added: what was signed does not say it.
    """
    if told.signed or told.summary is None:
        return told
    unsure = (
        cell.perhaps.label
        for cell in all_cells(connection, told.slide.slide_id)
        if cell.excluded is None and cell.label == NO_CLASS and cell.perhaps
    )
    return replace(told, perhaps=dict(Counter(unsure).most_common()))


def _summary(result: ResultRow | None) -> SlideSummary | None:
    return SlideSummary.model_validate(result.content) if result else None


def _result(report: SignedReport) -> ResultRow:
    return ResultRow(
        report.revision,
        report.computed_at,
        "signed",
        report.result,
        report.bundle_id,
        report.bundle_sha256,
        report.trained,
    )
