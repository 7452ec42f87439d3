"""Slides that a person at the microscope starts and ends."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hemaline_edge.spool.records import Priority, Slide
from hemaline_edge.spool.view import slide_of
from hemaline_edge.spool.waiting import WaitingMessages
from hemaline_edge.spool.writing import count, text_of
from hemaline_shared.errors import PermanentError


class StartedSlides(WaitingMessages):
    """One slide of a source at a time may be started; restarts and kills end none."""

    def started_slide(self, scope: str) -> Slide | None:
        """Return the slide that a person has started and that is not closed."""
        rows = self._database.rows(
            "select * from slides where started and closed_at is null and scope = ?", scope
        )
        return slide_of(rows[0]) if rows else None

    def slides_started(self) -> int:
        """Return how many slides were started here, ever."""
        rows = self._database.rows("select value from counters where name = 'slides-started'")
        return int(rows[0]["value"]) if rows else 0

    def start_slide(self, slide: Slide, priority: Priority) -> Slide:
        """Let an open slide be the one that a person has started.

        Raises:
            PermanentError: `slide-open`: another one is.
            TransientError: As `Database`.
        """
        with self._database.transaction() as connection:
            other = self.started_slide(slide.scope)
            if other is not None:
                raise PermanentError("slide-open", f"Slide {other.label} is open: end it first.")
            connection.execute(
                "update slides set started = 1, last_frame_at = ? where slide_id = ?",
                (text_of(datetime.now(UTC)), str(slide.slide_id)),
            )
            count(connection, "slides-started", 1)
        return replace(slide, started=True, priority=priority)

    def name_slide(self, slide_id: UUID, name: str) -> None:
        """Give the started slide its right name; frames that were sent before bear the other one.

        Raises:
            PermanentError: `no-such-slide`, or `name-taken`: another open slide has it.
            TransientError: As `Database`.
        """
        with self._database.transaction() as connection:
            taken = connection.execute(
                "select 1 from slides join slides as own using (scope) where own.slide_id = ?"
                " and slides.slide_id <> own.slide_id and slides.label = ?"
                " and slides.closed_at is null",
                (str(slide_id), name),
            ).fetchone()
            if taken:
                raise PermanentError("name-taken", "Another slide that is open has this name.")
            named = connection.execute(
                "update slides set label = ? where slide_id = ? and started and closed_at is null",
                (name, str(slide_id)),
            )
            if named.rowcount != 1:
                raise PermanentError("no-such-slide", "This slide is not open any more.")

    def end_slide(self, slide_id: UUID) -> None:
        """Note that a person has ended a slide; it is closed once its last picture is here.

        Raises:
            PermanentError: `no-such-slide`: it is not open, or nobody has started it.
            TransientError: As `Database`.
        """
        self._reserve.used_if_full(lambda: self._end_slide(slide_id))

    def _end_slide(self, slide_id: UUID) -> None:
        with self._database.transaction() as connection:
            ended = connection.execute(
                "update slides set ending_at = coalesce(ending_at, ?)"
                " where slide_id = ? and started and closed_at is null",
                (text_of(datetime.now(UTC)), str(slide_id)),
            )
            if ended.rowcount != 1:
                raise PermanentError("no-such-slide", "This slide is not open any more.")
