"""The capturing thread: takes frame after frame from the source and makes each durable."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from hemaline_edge.capture.camera import LiveCamera
from hemaline_edge.capture.frame import CapturedFrame, FrameSource, UnusableFrame
from hemaline_edge.capture.simulated import SimulatorSource
from hemaline_edge.intake import Intake, JudgedFrame
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.settings import CameraSettings, EdgeSettings, SimulatorSettings
from hemaline_edge.spool.records import NewFrame, Priority, Slide
from hemaline_edge.spool.spool import Spool
from hemaline_shared.errors import HemalineError, PermanentError, TransientError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_READ_S = 0.5
_RETRY_S = 1.0
_SLOWEST_RETRY_S = 30.0
_SHORTEST_HANG_S = 10.0
"""One frame of a slow computer takes less."""


class Capturing:
    """Runs until stopped, or until a finite source is at its end. No error ends it."""

    def __init__(
        self,
        settings: EdgeSettings,
        source: FrameSource,
        spool: Spool,
        metrics: EdgeMetrics,
        on_spooled: Callable[[], None],
        on_captured: Callable[[JudgedFrame], None] | None = None,
    ) -> None:
        self._source = source
        self._spool = spool
        self._metrics = metrics
        self._on_spooled = on_spooled
        self._on_captured = on_captured
        self._ending: tuple[UUID, float] | None = None
        self._is_stat = settings.priority == "stat"
        self._idle = timedelta(minutes=settings.slide_idle_minutes)
        self._intake = Intake(settings, source.kind, metrics, spool)
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._problem: str | None = None
        self._failures = 0
        self._hangs_after_s = max(settings.telemetry_s, _SHORTEST_HANG_S)
        self._moved_at = time.monotonic()
        self._captured_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="capturing", daemon=True)

    def configure(self, settings: EdgeSettings) -> None:
        """Go on with other limits and another interval; any thread may ask."""
        self._intake.limit(settings.quality)
        self._hangs_after_s = max(settings.telemetry_s, _SHORTEST_HANG_S)
        source, paced = self._source, settings.source
        if isinstance(source, LiveCamera | SimulatorSource):
            assert isinstance(paced, CameraSettings | SimulatorSettings)
            source.interval_s = paced.interval_s

    def start(self) -> None:
        """Capture from now on."""
        self._moved_at = time.monotonic()
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Finish the frame in hand and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._source.close()

    def start_slide(self, name: str, priority: Priority) -> Slide:
        """Let frames that the source names no slide for belong to this one from now on.

        Raises:
            PermanentError: `slide-open`: another one was started and is not closed.
            TransientError: The spool cannot be written.
        """
        if started := self._started_slide():
            raise PermanentError("slide-open", f"Slide {started.label} is open: end it first.")
        slide = self._spool.open_slide(self._source.scope, name, priority)
        return self._spool.start_slide(slide, priority)

    @property
    def scope(self) -> str:
        """What the slides of this source belong to."""
        return self._source.scope

    @property
    def finished(self) -> bool:
        """Whether a finite source has been captured to its end and its slides are closed."""
        return self._finished.is_set()

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""
        if not self._thread.is_alive() and not self.finished:
            return "the capturing thread is not running: restart the agent"
        return self._problem or self._hang()

    def picture_problem(self) -> str | None:
        """Say that the source's pictures are of no use, for a readiness check."""
        return self._source.picture_problem() or self._intake.picture_problem()

    def source_problem(self) -> str | None:
        """Say what is to be seen to at the source though capture goes on, for a check."""
        return self._source.problem()

    @property
    def age_s(self) -> float | None:
        """How long ago a frame was captured; None: not since the start."""
        return None if self._captured_at is None else time.monotonic() - self._captured_at

    def _hang(self) -> str | None:
        """Say that the thread stands still within one step: in a driver, on a share, at a disk."""
        still_s = time.monotonic() - self._moved_at
        if self.finished or still_s <= self._hangs_after_s:
            return None
        return f"capturing has stood still for {still_s:.0f} s: restart the agent and its camera"

    def capture_next(self, timeout_s: float) -> NewFrame | None:
        """Capture one frame, if one comes in the time.

        Returns:
            What is durable now; None when nothing came, or a stop came before the spool had room.

        Raises:
            TransientError: The source is out of reach, or the spool cannot be written.
        """
        frame = self._source.read(timeout_s)
        self._failures, self._problem = 0, None
        return self._keep(frame) if frame else None

    def close_slides(self) -> None:
        """Close every open slide of the source."""
        for slide in self._spool.open_slides(self._source.scope):
            self._close(slide)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._moved_at = time.monotonic()
            try:
                self._step()
            except HemalineError as error:
                self._wait_after(f"{error}")
            except Exception as error:
                logger.exception("capturing failed unexpectedly; it goes on")
                self._wait_after(f"capturing failed unexpectedly ({type(error).__name__})")
            if self.finished:
                return

    def _step(self) -> None:
        self._end_started_slide()
        if self.capture_next(_READ_S):
            return
        if self._source.exhausted and not self._stopping.is_set():
            self.close_slides()
            self._finished.set()
        elif not self._source.finite:
            for slide in self._spool.open_slides(self._source.scope, self._idle):
                self._close(slide)

    def _keep(self, frame: CapturedFrame | UnusableFrame) -> NewFrame | None:
        slide = self._retry_until_ok(lambda: self._slide_of(frame), frame)
        if slide is None:
            return None
        judged = self._intake.judge(frame, slide)
        try:
            new = self._retry_until_ok(lambda: self._intake.pack(judged), frame)
            kept = self._retry_until_ok(lambda: self._put(new), frame) if new else None
        except PermanentError as error:
            if error.reason not in {"larger-than-spool", "processing-failed"}:
                raise
            judged = self._intake.judge(_unusable(frame, error), slide)
            refused = self._intake.pack(judged)
            kept = self._retry_until_ok(lambda: self._put(refused), frame)
        if kept is not None and self._on_captured:
            self._on_captured(judged)
        return kept

    def _slide_of(self, frame: CapturedFrame | UnusableFrame) -> Slide:
        started = None if self._source.names(frame.slide) else self._started_slide()
        if started is not None:
            return started
        label = self._label_of(frame.slide)
        priority = "stat" if self._is_stat else self._source.priority_of(label)
        slide = self._spool.open_slide(self._source.scope, label, priority)
        if self._source.slide_by_slide:
            for other in self._spool.open_slides(self._source.scope):
                if other.slide_id != slide.slide_id:
                    self._close(other)
        return slide

    def _started_slide(self) -> Slide | None:
        return self._spool.started_slide(self._source.scope)

    def _label_of(self, label: str) -> str:
        """Part what came before a slide that a person has started from what comes after it.

        Both would be one specimen otherwise, though another slide may lie there by now.
        """
        if self._source.names(label) or not (times := self._spool.slides_started()):
            return label
        return f"{label}, without a name {times}"

    def _end_started_slide(self) -> None:
        """Close the slide that a person has ended, once its last picture is here."""
        slide = self._started_slide()
        if slide is None or slide.ending_at is None:
            self._ending = None
            return
        if self._ending is None or self._ending[0] != slide.slide_id:
            self._ending = slide.slide_id, time.monotonic()
        if self._source.is_up_to_date(self._ending[1]):
            self._close(slide)

    def _put(self, new: NewFrame) -> NewFrame:
        with self._metrics.stage_seconds.labels("spool").time():
            self._spool.put(new)
        self._captured_at = time.monotonic()
        self._on_spooled()
        return new

    def _retry_until_ok(
        self, step: Callable[[], _T], frame: CapturedFrame | UnusableFrame
    ) -> _T | None:
        """Hold the frame until the step succeeds; nothing else is captured meanwhile.

        Returns:
            None when the agent was stopped before that.
        """
        while True:
            self._moved_at = time.monotonic()
            try:
                done = step()
            except TransientError as error:
                if self._problem is None:
                    if error.reason.startswith("spool"):
                        self._spool.count_refusal()
                    logger.error("capture stands still: %s", error)  # noqa: TRY400
                self._problem = str(error)
                if self._stopping.wait(_RETRY_S):
                    logger.warning("frame %s was not captured: %s", frame.frame_id, error)
                    return None
            else:
                self._problem = None
                return done

    def _close(self, slide: Slide) -> None:
        self._spool.close_slide(self._intake.closing(slide))
        logger.info("slide %s is closed after %d frames", slide.slide_id, slide.frames)
        self._on_spooled()

    def _wait_after(self, problem: str) -> None:
        """Make a failure visible and try again later, ever more rarely."""
        self._metrics.source_failures.inc()
        if problem != self._problem:
            logger.error("%s", problem)
        self._problem = problem
        self._stopping.wait(min(_SLOWEST_RETRY_S, _RETRY_S * 2**self._failures))
        self._failures = min(self._failures + 1, 10)


def _unusable(frame: CapturedFrame | UnusableFrame, error: PermanentError) -> UnusableFrame:
    return UnusableFrame(
        reason=error.reason,
        detail=str(error),
        slide=frame.slide,
        origin=frame.origin,
        marks=frame.marks,
        frame_id=frame.frame_id,
        captured_at=frame.captured_at,
    )
