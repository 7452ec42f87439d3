"""A video file as a source: one slide, a frame every so often in the video's own time."""

from pathlib import Path

import cv2

from hemaline_edge.capture.camera import camera_name, open_camera, rgb
from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, SourceKind
from hemaline_edge.capture.listing import FileState
from hemaline_edge.settings import CameraSettings
from hemaline_edge.spool.records import SourceMark

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
        self.scope = f"camera:{self._path}"
        self._capture: cv2.VideoCapture | None = None
        self._version = ""
        self._step = 1
        self._position = 0
        self._gave_some = False
        self._all_seen = False

    @property
    def exhausted(self) -> bool:
        """Whether every wanted frame was captured."""
        return self._all_seen

    def read(self, timeout_s: float) -> CapturedFrame | None:  # noqa: ARG002 - a file never waits
        """Return the next frame that was not captured yet; see `FrameSource`.

        Raises:
            TransientError: `camera-unreachable`: the file is gone or no video.
        """
        capture = self._opened()
        while capture.grab():
            position, self._position = self._position, self._position + 1
            if position % self._step:
                continue
            mark = SourceMark(self.scope, str(position), self._version)
            if self._memory.seen(mark.scope, mark.key) == mark.version:
                continue
            arrived, picture = capture.retrieve()
            if arrived:
                self._gave_some = True
                origin = f"{self._path}, frame {position}"
                return CapturedFrame(
                    image=rgb(picture), slide=self._path.name, origin=origin, marks=(mark,)
                )
        # Once more from the start, for what the spool did not take.
        self._all_seen = not self._gave_some
        self.close()
        return None

    def problem(self) -> str | None:
        """Nothing goes wrong with a file but what reading it tells."""

    def close(self) -> None:
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _opened(self) -> cv2.VideoCapture:
        if self._capture is None:
            self._capture = open_camera(self._settings)
            self._version = str(FileState.of(self._path.stat()))
            rate = self._capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_RATE
            self._step = max(1, round(self._settings.interval_s * rate))
            self._position = 0
            self._gave_some = False
        return self._capture
