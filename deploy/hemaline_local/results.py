"""What became of each slide, as the API tells it, and the sums that must add up."""

import json
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlencode

_PAGE = 200
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Captured frames, as the agents counted them, and in which terminal state each one is."""

    captured: int
    rejected: int
    quarantined: int
    with_result: int

    @property
    def unsettled(self) -> int:
        """Frames without a terminal state: 0 when nothing is lost and nothing counts twice."""
        return self.captured - self.rejected - self.quarantined - self.with_result

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.captured + other.captured,
            self.rejected + other.rejected,
            self.quarantined + other.quarantined,
            self.with_result + other.with_result,
        )


NOTHING = Counts(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SlideReport:
    """One slide: what the agent captured and what the cloud made of it."""

    slide_id: str
    accession: str
    label: str
    device: str
    state: str
    counts: Counts
    cells_by_class: Mapping[str, int]
    flags: Mapping[str, str]
    """Code and sentence of each reason to look at it."""
    revision: int | None = None
    """Of its current result; None: no result yet."""
    arrived: bool = True
    """Whether the cloud knows of it, so that it has a page."""

    @classmethod
    def of(cls, view: Mapping[str, Any], label: str, captured: int) -> Self:
        """Join the API's `view` with the agent's own label and count."""
        counts = view["counts"]
        return cls(
            view["slide_id"],
            view["accession"],
            label,
            view["device"],
            view["state"],
            Counts(captured, counts["rejected"], counts["quarantined"], counts["with_result"]),
            view["cells_by_class"],
            {flag["code"]: flag["text"] for flag in view["flags"]},
            view["revision"],
        )

    @classmethod
    def unseen(cls, slide_id: str, accession: str, label: str, device: str, captured: int) -> Self:
        """A slide of which nothing has arrived yet."""
        counts = Counts(captured, 0, 0, 0)
        return cls(slide_id, accession, label, device, "receiving", counts, {}, {}, arrived=False)

    @property
    def cells(self) -> int:
        """White cells in its fields."""
        return sum(self.cells_by_class.values())

    @property
    def complete(self) -> bool:
        """Whether nothing more will change without a person."""
        return self.state == "complete"


def total(reports: Iterable[SlideReport]) -> Counts:
    """Add the slides up."""
    return sum((report.counts for report in reports), NOTHING)


def summary(reports: Iterable[SlideReport]) -> dict[str, Any]:
    """Return what `--summary` writes."""
    reports = list(reports)
    slides = [
        {
            "id": report.slide_id,
            "accession": report.accession,
            "label": report.label,
            "device": report.device,
            **asdict(report.counts),
            "cells": report.cells,
            "cells_by_class": dict(report.cells_by_class),
            "flags": list(report.flags),
            "revision": report.revision,
        }
        for report in reports
    ]
    return {**asdict(total(reports)), "slides": slides}


def read_slides(api_port: int, token: str) -> dict[str, dict[str, Any]]:
    """Read all slides of the API on this machine, by id, with an API token.

    Raises:
        OSError: it does not answer, or answers with an error.
    """
    slides: dict[str, dict[str, Any]] = {}
    query: dict[str, str | int] | None = {"limit": _PAGE}
    while query:
        address = f"http://127.0.0.1:{api_port}/api/v1/slides?{urlencode(query)}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            page = json.load(response)
        slides |= {slide["slide_id"]: slide for slide in page["items"]}
        query = {"limit": _PAGE, "cursor": page["next"]} if page["next"] else None
    return slides
