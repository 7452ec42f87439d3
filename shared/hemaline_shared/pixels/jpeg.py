"""A JPEG's segments up to its first scan: what cameras send, read as leniently as they write."""

import re
import struct
from dataclasses import dataclass

from hemaline_shared.errors import PermanentError

_MAX_SEGMENTS = 4096  # a real file has dozens; a hostile one could keep us walking for long
_MAX_SCANS = 100  # a progressive file has ten; each costs a pass over all pixels, in 40 bytes
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may stand before
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class JpegHead:
    """What stands before the first scan.

    Attributes:
        width: Stored pixels across.
        height: Stored pixels down.
        components: 1 for grey, 3 for colour, 4 for CMYK and YCCK.
        exif: The EXIF block, empty where there is none.
        complete: Whether an end marker follows the scan. libjpeg fills what is missing with grey.
    """

    width: int
    height: int
    components: int
    exif: bytes
    complete: bool


def read_jpeg_head(data: bytes) -> JpegHead:
    """Walk the segments of a JPEG; the metadata itself is not judged.

    Raises:
        PermanentError: `truncated` or `undecodable`.
    """
    frame: tuple[int, int, int] | None = None
    exif = b""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker == _START_OF_SCAN:
            break
        end = at + _length(data, at)
        if marker in _FRAME_STARTS:
            frame = _frame(data, at)
        elif marker == _APP1 and data.startswith(b"Exif\x00\x00", at + 2) and not exif:
            exif = data[at + 2 : end]
        at = end
    if frame is None:
        raise PermanentError("undecodable", "The JPEG has no frame header. Capture it again.")
    if data.count(_SCAN, at) > _MAX_SCANS:
        raise PermanentError("undecodable", "The JPEG has far too many scans. Capture it again.")
    height, width, components = frame
    return JpegHead(width, height, components, exif, complete=data.find(_END_OF_IMAGE, at) >= 0)


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker that stands here, and where its segment starts."""
    found = _MARKER.match(data, at)
    if found is not None:
        return found[1][0], found.end()
    if not data[at : at + 1].strip(b"\xff"):
        raise _ends_in_header()
    raise PermanentError("undecodable", "The JPEG's segments are damaged. Capture it again.")


def _length(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise _ends_in_header()
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2:
        raise PermanentError("undecodable", "The JPEG's segments are damaged. Capture it again.")
    return length


def _frame(data: bytes, at: int) -> tuple[int, int, int]:
    if at + 8 > len(data):
        raise _ends_in_header()
    height, width, components = struct.unpack_from(">HHB", data, at + 3)
    return height, width, components


def _ends_in_header() -> PermanentError:
    return PermanentError(
        "truncated", "The JPEG ends inside its header. Was it still being written or copied?"
    )
