"""The simulated microscope as a source: slide after slide of drawn fields."""

import time

from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, SourceKind
from hemaline_edge.settings import SimulatorSettings
from hemaline_edge.simulator import SmearSettings, SmearSimulator
from hemaline_edge.spool.records import Priority, SourceMark


class SimulatorSource:
    """Gives every field of every slide once; a restart goes on where the last run ended."""

    kind: SourceKind = "simulator"
    finite = True
    slide_by_slide = True

    def __init__(self, settings: SimulatorSettings, memory: CaptureMemory) -> None:
        self._settings = settings
        self.interval_s = settings.interval_s
        self._memory = memory
        self.scope = f"simulator:{settings.seed}"
        self._simulator = SmearSimulator(
            SmearSettings(
                seed=settings.seed,
                width=settings.width,
                height=settings.height,
                fields_per_slide=settings.fields,
            )
        )
        self._fields = settings.slides * settings.fields
        self._next = 0
        self._gave_some = False
        self._next_at = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether all fields of all slides were captured."""
        return self._next >= self._fields and not self._gave_some

    def read(self, timeout_s: float) -> CapturedFrame | None:
        """Draw the next field that was not captured yet; see `FrameSource`."""
        mark = self._next_mark()
        if mark is None:
            return None
        wait = self._next_at - time.monotonic()
        if wait > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, wait))
        self._next_at = time.monotonic() + self.interval_s
        slide, field = divmod(self._next, self._settings.fields)
        self._next += 1
        self._gave_some = True
        return CapturedFrame(
            image=self._simulator.field(slide, field).image,
            slide=f"simulated-{slide + 1}",
            origin=f"simulated slide {slide + 1}, field {field + 1}",
            marks=(mark,),
        )

    def priority_of(self, _slide: str) -> Priority:
        """Nothing here tells; the settings may."""
        return "routine"

    def names(self, _slide: str) -> bool:
        """It counts its slides, and knows no name for them."""
        return False

    def is_up_to_date(self, _since: float) -> bool:
        """A picture is given as soon as it is there."""
        return True

    def problem(self) -> str | None:
        """Nothing can be wrong with it."""

    def picture_problem(self) -> str | None:
        """It draws what it is told to."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _next_mark(self) -> SourceMark | None:
        """Go on to the next field that the spool has not seen; None at the end of all."""
        if self._next >= self._fields and self._gave_some:
            self._next, self._gave_some = 0, False  # once more, for what the spool did not take
        while self._next < self._fields:
            slide, field = divmod(self._next, self._settings.fields)
            mark = SourceMark(self.scope, f"{slide}/{field}", "1")
            if self._memory.seen(mark.scope, mark.key) is None:
                return mark
            self._next += 1
        return None
