"""What every source gives: frames, or word of what was captured but is no image."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from hemaline_edge.spool.records import Priority, SourceMark
from hemaline_shared.ids import new_id
from hemaline_shared.pixels.types import RgbImage

SourceKind: TypeAlias = Literal["folder", "camera", "simulator"]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapturedFrame:
    """One image as the source gave it.

    Attributes:
        image: Shape (height, width, 3), RGB.
        slide: The label of the slide: what people here call it.
        origin: Which file or device it came from; stays on this device too.
        marks: What to remember once it is durable, so that it is not captured again; empty where
            the source never shows the same moment twice.
    """

    image: RgbImage
    slide: str
    origin: str
    marks: tuple[SourceMark, ...] = ()
    frame_id: UUID = field(default_factory=new_id)
    captured_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableFrame:
    """Something that was captured and never became an image, with the reason.

    `detail` travels upstream, so it names no file.
    """

    reason: str
    detail: str
    slide: str
    origin: str
    marks: tuple[SourceMark, ...] = ()
    frame_id: UUID = field(default_factory=new_id)
    captured_at: datetime = field(default_factory=_now)


class CaptureMemory(Protocol):
    """What was captured, however long ago: the spool."""

    def seen(self, scope: str, key: str) -> str | None:
        """Return the version that was last captured from a place of a source, or None."""

    def remember(self, marks: Iterable[SourceMark]) -> None:
        """Take places as captured in these versions, without a frame.

        Raises:
            TransientError: The spool cannot be written now.
        """


class FrameSource(Protocol):
    """Gives one frame after the other; used by one thread.

    Whatever was given and not marked as seen in the spool is given again after a restart.
    """

    @property
    def kind(self) -> SourceKind:
        """What messages say of where a frame comes from."""

    @property
    def scope(self) -> str:
        """What labels and marks belong to."""

    @property
    def finite(self) -> bool:
        """Whether the source has an end."""

    @property
    def slide_by_slide(self) -> bool:
        """Whether a frame of another slide means that the one before is at its end."""

    @property
    def exhausted(self) -> bool:
        """Whether all has been given."""

    def read(self, timeout_s: float) -> CapturedFrame | UnusableFrame | None:
        """Return the next frame, or None when none came in the time.

        Raises:
            TransientError: The source is out of reach; reading again tries again.
        """

    def priority_of(self, slide: str) -> Priority:
        """Return how urgent a slide is, by its label."""

    def names(self, slide: str) -> bool:
        """Whether a label is somebody's word for a slide: a subfolder's, a list's, a video's.

        Frames under any other label belong to the slide that a person has started, if one has.
        """

    def is_up_to_date(self, since: float) -> bool:
        """Whether all was given that was captured before this `time.monotonic()`."""

    def problem(self) -> str | None:
        """Say what a person should see to, though capture goes on; any thread may ask."""

    def picture_problem(self) -> str | None:
        """Say that its pictures are of no use, so that nothing is captured; any thread may ask."""

    def close(self) -> None:
        """Let go of the device or folder."""
