"""A video file as a source: one slide, a frame every so often in the video's own time."""

import os
from pathlib import Path

from hemaline_edge.capture.camera import camera_name, open_camera
from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, SourceKind, UnusableFrame
from hemaline_edge.capture.names import key_of, readable
from hemaline_edge.capture.streams import PictureStream
from hemaline_edge.settings import CameraSettings
from hemaline_edge.spool.records import Priority, SourceMark
from hemaline_shared.packing import sha256_hex
from hemaline_shared.pixels.types import RgbImage

_ENDS_BYTES = 1024 * 1024
_DEFAULT_RATE = 25.0
"""Frames a second, for a file that does not say."""


class VideoFile:
    """Gives every n-th frame once; a restart goes on where the last run ended."""

    kind: SourceKind = "camera"
    finite = True
    slide_by_slide = True

    def __init__(self, settings: CameraSettings, memory: CaptureMemory) -> None:
        self._settings = settings
        self._memory = memory
        self._path = Path(camera_name(settings))
        self.scope = f"camera:{key_of(str(self._path))}"
        self._stream: PictureStream | None = None
        self._version = ""
        self._versions: set[str | None] = set()
        self._step = 1
        self._position = 0
        self._gave_some = False
        self._all_seen = False

    @property
    def exhausted(self) -> bool:
        """Whether every wanted frame was captured."""
        return self._all_seen

    def read(self, timeout_s: float) -> CapturedFrame | UnusableFrame | None:  # noqa: ARG002
        """Return the next frame that was not captured yet; a file never waits. See `FrameSource`.

        Raises:
            TransientError: `camera-unreachable`: the file is gone or no video.
        """
        stream = self._opened()
        while stream.grab():
            position, self._position = self._position, self._position + 1
            if position % self._step:
                continue
            mark = SourceMark(self.scope, str(position), self._version)
            if self._memory.seen(mark.scope, mark.key) in self._versions:
                continue
            self._gave_some = True
            return self._frame(stream.retrieve(), position, mark)
        # Once more from the start, for what the spool did not take.
        self._all_seen = not self._gave_some
        self.close()
        return None

    def _frame(
        self, image: RgbImage | None, position: int, mark: SourceMark
    ) -> CapturedFrame | UnusableFrame:
        slide = readable(self._path.name)
        origin = f"{readable(str(self._path))}, frame {position}"
        if image is None:
            return UnusableFrame(
                reason="undecodable",
                detail="This frame of the video is damaged. Record it again.",
                slide=slide,
                origin=origin,
                marks=(mark,),
            )
        return CapturedFrame(image=image, slide=slide, origin=origin, marks=(mark,))

    def priority_of(self, _slide: str) -> Priority:
        """Nothing here tells; the settings may."""
        return "routine"

    def names(self, _slide: str) -> bool:
        """A video is called what its slide is."""
        return True

    def is_up_to_date(self, _since: float) -> bool:
        """It grows no more."""
        return True

    def problem(self) -> str | None:
        """Nothing goes wrong with a file but what reading it tells."""

    def picture_problem(self) -> str | None:
        """Its pictures are files: which of them is of no use is told of each."""

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> PictureStream:
        if self._stream is None:
            self._stream = open_camera(self._settings)
            self._version = _content_version(self._path)
            stat = self._path.stat()
            # An earlier agent went by time, too.
            self._versions = {self._version, f"{stat.st_size}-{stat.st_mtime_ns}"}
            rate = self._stream.rate or _DEFAULT_RATE
            self._step = max(1, round(self._settings.interval_s * rate))
            self._position = 0
            self._gave_some = False
        return self._stream


def _content_version(path: Path) -> str:
    """Return what tells a video from another one at its place: its size, beginning and end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        ends = file.read(_ENDS_BYTES)
        file.seek(max(0, size - _ENDS_BYTES))
        ends += file.read(_ENDS_BYTES)
    return f"{size}-{sha256_hex(ends)}"
