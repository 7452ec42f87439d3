"""Cameras that OpenCV opens: devices and network streams, and video files."""

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_edge.capture.frame import CapturedFrame, SourceKind
from hemaline_edge.settings import CameraSettings
from hemaline_shared.errors import TransientError
from hemaline_shared.pixels.types import RgbImage

logger = logging.getLogger(__name__)

_TIMEOUT_MS = 5_000
_SMALL = (64, 48)
_SAME_VIEW = 2.0
"""Mean difference in grey levels of the small view: noise stays below, a moved stage above."""


class LiveCamera:
    """Gives a frame whenever the view has changed, every so often at most.

    While the stage stands still there is nothing to capture: a camera left on overnight must not
    fill the spool. A long pause begins a new slide, and so does a slide's full number of fields.
    A camera that goes away is opened again.
    """

    kind: SourceKind = "camera"
    finite = False
    slide_by_slide = True
    exhausted = False

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._name = camera_name(settings)
        self.scope = f"camera:{self._name}"
        self._capture: cv2.VideoCapture | None = None
        self._last_view: NDArray[np.float32] | None = None
        self._next_at = 0.0
        self._given_at = -float("inf")
        self._slide = ""
        self._fields = 0

    def read(self, timeout_s: float) -> CapturedFrame | None:
        """Return the next changed view; see `FrameSource`.

        Raises:
            TransientError: `camera-unreachable` or `camera-lost`.
        """
        capture = self._opened()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            # Every frame is fetched, or the next one looked at would be an old one of the buffer.
            if not capture.grab():
                self.close()
                raise TransientError(
                    "camera-lost",
                    f"camera {self._name} gives no picture any more: check its cable and power; "
                    "it is tried again",
                )
            if time.monotonic() < self._next_at:
                continue
            self._next_at = time.monotonic() + self._settings.interval_s
            arrived, picture = capture.retrieve()
            if arrived and self._has_changed(picture):
                return self._frame(rgb(picture))
        return None

    def problem(self) -> str | None:
        """Nothing is wrong with a camera but what reading it tells."""

    def close(self) -> None:
        """Let go of the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _opened(self) -> cv2.VideoCapture:
        if self._capture is None:
            self._capture = open_camera(self._settings)
            logger.info("camera %s is open", self._name)
        return self._capture

    def _has_changed(self, picture: NDArray[np.generic]) -> bool:
        grey = cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_BGR2GRAY)
        view = cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        view -= view.mean()  # the lamp's flicker is no movement
        last = self._last_view
        if last is not None and float(np.abs(view - last).mean()) < _SAME_VIEW:
            return False
        self._last_view = view
        return True

    def _frame(self, image: RgbImage) -> CapturedFrame:
        now = time.monotonic()
        paused = now - self._given_at > 60 * self._settings.pause_minutes
        if paused or self._fields >= self._settings.fields_per_slide:
            self._slide = f"{self._settings.slide} {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
            self._fields = 0
        self._given_at = now
        self._fields += 1
        origin = f"camera {self._name}"
        return CapturedFrame(image=image, slide=self._slide, origin=origin)


def open_camera(settings: CameraSettings) -> cv2.VideoCapture:
    """Open a camera or video file.

    Raises:
        TransientError: `camera-unreachable`.
    """
    device = settings.device.get_secret_value()
    if device.isdigit():
        capture = cv2.VideoCapture(int(device))
    else:
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS]
        timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
        capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        capture.release()
        raise TransientError(
            "camera-unreachable",
            f"camera {camera_name(settings)} cannot be opened: is it plugged in and switched on, "
            "may the agent's user use it, and is no other program using it?",
        )
    if settings.width and settings.height:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    return capture


def camera_name(settings: CameraSettings) -> str:
    """Return the camera's address without the password that it may hold."""
    device = settings.device.get_secret_value()
    parts = urlsplit(device)
    if parts.scheme and parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    return device if device.isdigit() else str(Path(device).absolute())


def rgb(picture: NDArray[np.generic]) -> RgbImage:
    """Turn OpenCV's order of colours into ours."""
    return cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_BGR2RGB).astype(
        np.uint8, copy=False
    )
