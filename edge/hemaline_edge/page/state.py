"""What the page shows: the last frame, the slide that was started, what waits."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hemaline_edge.capture.frame import CapturedFrame
from hemaline_edge.capturing import Capturing
from hemaline_edge.device_commands.commanding import Answer, Commanding
from hemaline_edge.device_commands.kept import Record
from hemaline_edge.intake import JudgedFrame
from hemaline_edge.spool.records import Priority, Slide
from hemaline_edge.spool.spool import Spool
from hemaline_shared.barcodes import CheckDigit, folded, has_right_check_digit
from hemaline_shared.errors import PermanentError
from hemaline_shared.frame_reasons import explain_frame
from hemaline_shared.ids import accession
from hemaline_shared.pixels.encode import encode_thumbnail

_SHOWN = 8
_PICTURE_PX = 960


@dataclass(frozen=True, slots=True)
class _LastFrame:
    number: int
    at: datetime
    good: bool
    says: tuple[str, ...]
    measures: dict[str, float]
    cells: int
    picture: bytes | None


class PageState:
    """Any thread may ask and tell."""

    def __init__(
        self,
        spool: Spool,
        check_digit: CheckDigit,
        connected: Callable[[], bool],
        receipt_age_s: Callable[[], float | None],
        problems: Callable[[], list[str]],
    ) -> None:
        self._spool = spool
        self._check_digit = check_digit
        self._connected = connected
        self._receipt_age_s = receipt_age_s
        self._problems = problems
        self._capturing: Capturing | None = None
        self._commanding: Commanding | None = None
        self._last: _LastFrame | None = None
        self._lock = threading.Lock()

    def use(self, capturing: Capturing, commanding: Commanding) -> None:
        """Take the slides of this thread's source, and what readers ask."""
        self._capturing = capturing
        self._commanding = commanding

    def captured(self, judged: JudgedFrame) -> None:
        """Show a frame that is durable now."""
        message = judged.message
        reasons = message.quality.reasons if message.kind == "rejected" else ()
        reasons = (message.reason,) if message.kind == "quarantined" else reasons
        frame = judged.frame
        picture = (
            encode_thumbnail(frame.image, _PICTURE_PX) if isinstance(frame, CapturedFrame) else None
        )
        measures = {} if message.kind == "quarantined" else message.quality.measures
        with self._lock:
            self._last = _LastFrame(
                self._last.number + 1 if self._last else 1,
                message.captured_at,
                not reasons,
                tuple(explain_frame(reason) or reason for reason in reasons),
                measures,
                len(message.cells) if message.kind == "field" else 0,
                picture,
            )

    def picture(self) -> bytes | None:
        """Return the last frame as a small JPEG, or None."""
        return self._last.picture if self._last else None

    def start(self, typed: str, priority: Priority) -> Slide:
        """Start a slide under a scanned or typed name.

        Raises:
            PermanentError: `slide-open`, or as `read_name`.
            TransientError: The spool cannot be written.
        """
        return self._capture.start_slide(self.read_name(typed), priority)

    def read_name(self, typed: str) -> str:
        """Return a scanned or typed name as slides have it.

        Raises:
            PermanentError: `barcode-unreadable` or `wrong-check-digit`.
        """
        name = folded(typed)
        if not has_right_check_digit(name, self._check_digit):
            raise PermanentError(
                "wrong-check-digit", "The check digit is wrong: scan it again, or type it anew."
            )
        return name

    def end(self, slide_id: UUID) -> None:
        """End the slide that was started; raises as `Spool.end_slide`."""
        self._spool.end_slide(slide_id)

    def answer(self, command_id: UUID, said: Answer) -> None:
        """Say what becomes of a reader's request; raises as `Commanding.answer`."""
        assert self._commanding
        self._commanding.answer(command_id, said)

    def document(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        contents = self._spool.contents()
        slide = self._spool.started_slide(self._capture.scope)
        return {
            "frame": self._frame(),
            "slide": _slide(slide) if slide else None,
            "waiting": contents.frames,
            "oldest_s": _age_s(contents.oldest_at),
            "connected": self._connected(),
            "receipt_age_s": self._receipt_age_s(),
            "problems": self._problems(),
            "requests": self._requests(),
            "refused": [
                {
                    "id": str(entry.message_id),
                    "at": entry.at.isoformat(),
                    "outcome": entry.outcome,
                    "says": [
                        explain_frame(reason) or reason for reason in entry.reason.split(", ")
                    ],
                }
                for entry in self._spool.unused(_SHOWN)
            ],
        }

    def _requests(self) -> list[dict[str, Any]]:
        asked = self._commanding.requests() if self._commanding else []
        return [_request(record, self._spool) for record in asked]

    @property
    def _capture(self) -> Capturing:
        assert self._capturing is not None
        return self._capturing

    def _frame(self) -> dict[str, Any] | None:
        last = self._last
        if last is None:
            return None
        return {
            "number": last.number,
            "at": last.at.isoformat(),
            "good": last.good,
            "says": last.says,
            "measures": last.measures,
            "cells": last.cells,
            "has_picture": last.picture is not None,
        }


def _request(record: Record, spool: Spool) -> dict[str, Any]:
    command = record.command
    slide_id = UUID(str(command.arguments["slide_id"]))
    return {
        "id": str(command.command_id),
        "verb": command.verb,
        "slide": spool.label_of(slide_id),
        "accession": accession(slide_id),
        "reason": command.arguments["reason"],
        "cells": command.arguments.get("cells"),
        "asked_by": command.asked_by,
        "asked_at": command.sent_at.isoformat(),
        "seen": record.state == "seen",
    }


def _slide(slide: Slide) -> dict[str, Any]:
    return {
        "id": str(slide.slide_id),
        "name": slide.label,
        "accession": accession(slide.slide_id),
        "urgent": slide.priority == "stat",
        "ending": slide.ending_at is not None,
        "frames": slide.frames,
        "refused": slide.rejected + slide.quarantined,
        "safe": slide.receipted,
        "cells": slide.cells,
    }


def _age_s(moment: datetime | None) -> int | None:
    return max(0, int((datetime.now(UTC) - moment).total_seconds())) if moment else None
