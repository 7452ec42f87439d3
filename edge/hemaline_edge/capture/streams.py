"""Moving pictures, frame by frame: whole, or known to be damaged.

Decoders of video hide damage: they go on with what they had before, or paint green. So FFmpeg's
errors count here, and what leans on a damaged frame counts as damaged until a frame comes that
stands alone.
"""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import av
import cv2
import numpy as np
from av.container import InputContainer

from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.types import RgbImage

av.logging.set_level(av.logging.ERROR)
# An address in FFmpeg's own log may hold a password; what it says is caught where it matters.
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)

_TIMEOUT_S = 5.0
_NEVER_ZEROS = frozenset({"h264", "hevc", "mpeg4"})
_HOLE = bytes(64)
"""In these codings zeros mark the start of something; so many are a part that was lost."""
_TABLES = b"\xff\xc4"
_GREEN, _GREY = (0, 135, 0), (128, 128, 128)
"""What decoders paint where nothing has arrived: zeros as YUV, and the middle of the range."""


class PictureStream(Protocol):
    """Frames that come one after the other; used by one thread."""

    @property
    def rate(self) -> float:
        """Frames a second; 0 where nobody knows."""

    def grab(self) -> bool:
        """Go on to the next frame; False when none comes any more."""

    def retrieve(self) -> RgbImage | None:
        """Return the frame that was grabbed; None where it is damaged."""

    def close(self) -> None:
        """Let go of the file, address or device."""


def open_stream(place: str) -> PictureStream:
    """Open a video file or a network address.

    Raises:
        TransientError: `camera-unreachable`, with FFmpeg's word for it and without the address.
    """
    try:
        with av.logging.Capture():
            container = av.open(
                place, options={"rtsp_transport": "tcp"}, timeout=(_TIMEOUT_S, _TIMEOUT_S)
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or type(error).__name__
        raise TransientError("camera-unreachable", str(word)) from None
    if not container.streams.video:
        container.close()
        raise TransientError("camera-unreachable", "there is no video in it")
    return _FFmpegStream(container)


class _FFmpegStream:
    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._stream = container.streams.video[0]
        codec = self._stream.codec_context
        codec.thread_count = 1  # what it says of a packet must not come with another one
        codec.options = {"err_detect": "explode"}
        codec.copy_opaque = True  # tells of a frame which packet brought it
        # Each frame of MJPEG is a JPEG, which is decoded when it is wanted, and strictly.
        self._alone = codec.name == "mjpeg"
        self._never_zeros = codec.name in _NEVER_ZEROS
        self._packets = container.demux(self._stream)
        self._decoded: deque[av.VideoFrame | None] = deque()
        self._number = 0
        self._last_damage = 0
        self._last_alone = 0
        self._packet: av.Packet[av.VideoStream] | None = None
        self._frame: av.VideoFrame | None = None

    @property
    def rate(self) -> float:
        return float(self._stream.average_rate or 0)

    def grab(self) -> bool:
        try:
            if self._alone:
                self._packet = next(packet for packet in self._packets if packet.size)
                return True
            while not self._decoded:
                self._decoded.extend(self._decode(next(self._packets)))
        except (StopIteration, av.FFmpegError, OSError):
            return False
        self._frame = self._decoded.popleft()
        return True

    def retrieve(self) -> RgbImage | None:
        if self._alone and self._packet:
            return self._retrieve_jpeg(self._packet)
        return _upright(self._frame) if self._frame else None

    def close(self) -> None:
        self._container.close()

    def _retrieve_jpeg(self, packet: "av.Packet[av.VideoStream]") -> RgbImage | None:
        data = bytes(packet)
        if _TABLES in data:
            try:
                return decode_image(data)
            except PermanentError:
                return None
        frames = list(self._decode(packet))  # tables are left out, as AVI allows: FFmpeg has them
        frame = frames[-1] if frames else None
        return _upright(frame) if frame else None

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> Iterator[av.VideoFrame | None]:
        """Yield what a packet brings; None for each frame that is damaged."""
        self._number += 1
        packet.opaque = self._number
        failed = False
        with av.logging.Capture() as said:
            try:
                frames = [each for each in packet.decode() if isinstance(each, av.VideoFrame)]
            except av.FFmpegError:
                frames = []
                failed = packet.size > 0  # the empty one asks for the rest
        hole = self._never_zeros and _HOLE in bytes(packet)
        if hole or failed or any(level <= av.logging.ERROR for level, _, _ in said):
            self._last_damage = self._number
        for frame in frames:
            number = int(frame.opaque) if isinstance(frame.opaque, int) else 0
            if frame.is_corrupt:
                self._last_damage = max(self._last_damage, number)
            if frame.key_frame:
                self._last_alone = number
            # Frames come in another order than packets: this one may have been decoded before.
            yield frame if self._last_alone > self._last_damage else None
        if failed:
            yield None


class DeviceStream:
    """A camera at this computer, by its number."""

    def __init__(self, number: int, width: int | None, height: int | None) -> None:
        """Open the camera.

        Raises:
            TransientError: `camera-unreachable`.
        """
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self.close()
            raise TransientError("camera-unreachable", "no such device, or it is in use")
        if width and height:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)

    @property
    def rate(self) -> float:
        """Frames a second; 0 where nobody knows."""
        return self._capture.get(cv2.CAP_PROP_FPS)

    def grab(self) -> bool:
        """Go on to the next frame; False when none comes any more."""
        return self._capture.grab()

    def retrieve(self) -> RgbImage | None:
        """Return the frame that was grabbed; None where it is damaged."""
        arrived, picture = self._capture.retrieve()
        if not arrived:
            return None
        image = cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_BGR2RGB)
        pixels = image.astype(np.uint8, copy=False)
        return None if ends_in_paint(pixels) else pixels

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()


def ends_in_paint(image: RgbImage) -> bool:
    """Whether the lowest rows are all of the one colour that decoders paint for what is missing."""
    last = image[-1]
    if not (last == last[0]).all():
        return False
    return any(np.abs(last[0].astype(int) - paint).max() <= 3 for paint in (_GREEN, _GREY))


def _upright(frame: av.VideoFrame) -> RgbImage | None:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    image = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))
    return None if ends_in_paint(image) else image
