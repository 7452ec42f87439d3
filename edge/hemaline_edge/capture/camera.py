"""Live cameras: at this computer, or in the network."""

import logging
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_edge.capture.frame import CapturedFrame, SourceKind
from hemaline_edge.capture.streams import DeviceStream, PictureStream, open_stream
from hemaline_edge.sameness import Sameness
from hemaline_edge.settings import CameraSettings
from hemaline_edge.spool.records import Priority
from hemaline_shared.errors import TransientError
from hemaline_shared.pixels.types import RgbImage

logger = logging.getLogger(__name__)

_MANY_DAMAGED = 10
_FROZEN_AFTER_S = 20.0
"""Longer than cameras take from one whole picture of a coded video to the next."""
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
        self.interval_s = settings.interval_s
        self._name = camera_name(settings)
        self.scope = f"camera:{self._name}"
        self._stream: PictureStream | None = None
        self._damaged = 0
        self._sameness = Sameness(_FROZEN_AFTER_S)
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
        stream = self._opened()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            # Every frame is fetched, or the next one looked at would be an old one of the buffer.
            if not stream.grab():
                self.close()
                raise TransientError(
                    "camera-lost",
                    f"camera {self._name} gives no picture any more: check its cable and power; "
                    "it is tried again",
                )
            if time.monotonic() < self._next_at:
                continue
            self._next_at = time.monotonic() + self.interval_s
            image = stream.retrieve()
            self._damaged = self._damaged + 1 if image is None else 0
            if image is None:
                continue
            self._sameness.add(zlib.crc32(np.ascontiguousarray(image).data))
            if self._has_changed(image):
                return self._frame(image)
        return None

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
        """A camera wants nothing seen to while it goes on."""

    def picture_problem(self) -> str | None:
        """Tell that picture after picture arrives damaged, or that it is always the same one."""
        if self._damaged < _MANY_DAMAGED:
            return self._sameness.problem()
        return (
            f"camera {self._name} gives damaged pictures only, the last {self._damaged:,}: check "
            "its cable, the network and its settings"
        )

    def close(self) -> None:
        """Let go of the camera."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> PictureStream:
        if self._stream is None:
            self._stream = open_camera(self._settings)
            logger.info("camera %s is open", self._name)
        return self._stream

    def _has_changed(self, image: RgbImage) -> bool:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
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


def open_camera(settings: CameraSettings) -> PictureStream:
    """Open a camera or video file.

    Raises:
        TransientError: `camera-unreachable`.
    """
    device = settings.device.get_secret_value()
    try:
        if device.isdigit():
            return DeviceStream(int(device), settings.width, settings.height)
        return open_stream(device)
    except TransientError as error:
        if settings.is_file:
            raise TransientError(
                "camera-unreachable",
                f"the video file cannot be read ({error}): it is no video, or its recording or "
                "copy was cut off; it is tried again",
            ) from None
        raise TransientError(
            error.reason,
            f"camera {camera_name(settings)} cannot be opened ({error}): is it plugged in and "
            "switched on, may the agent's user use it, and is no other program using it?",
        ) from None


def camera_name(settings: CameraSettings) -> str:
    """Return the camera's address without the password that it may hold."""
    device = settings.device.get_secret_value()
    parts = urlsplit(device)
    if parts.scheme and parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    return device if device.isdigit() else str(Path(device).absolute())
