"""A JPEG's segments and scans: read as leniently as cameras write them, and checked to the end."""

import re
import struct
from dataclasses import dataclass

from hemaline_shared.errors import PermanentError

_MAX_SEGMENTS = 4096  # a real file has dozens; a hostile one could keep us walking for long
_MAX_SCANS = 100  # a progressive file has ten; each costs a pass over all pixels, in 40 bytes
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may stand before
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # neither a stuffed byte nor a restart
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class JpegHead:
    """What stands before the first scan.

    Attributes:
        width: Stored pixels across.
        height: Stored pixels down.
        components: 1 for grey, 3 for colour, 4 for CMYK and YCCK.
        precision: Bits of a sample; cameras write 8, medical devices 12 at times.
        process: The marker of the frame's header, 0xC0 to 0xCF: how the picture is coded.
        exif: The EXIF block, empty where there is none.
        scans_at: Where the first scan's segment starts.
    """

    width: int
    height: int
    components: int
    precision: int
    process: int
    exif: bytes
    scans_at: int


def read_jpeg_head(data: bytes) -> JpegHead:
    """Walk the segments of a JPEG up to its first scan; the metadata itself is not judged.

    Raises:
        PermanentError: `truncated` or `undecodable`.
    """
    frame: tuple[int, int, int, int] | None = None
    process = 0
    exif = b""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker == _START_OF_SCAN:
            break
        end = at + _length(data, at)
        if marker in _FRAME_STARTS:
            process, frame = marker, _frame(data, at)
        elif marker == _APP1 and data.startswith(b"Exif\x00\x00", at + 2) and not exif:
            exif = data[at + 2 : end]
        at = end
    if frame is None:
        raise PermanentError("undecodable", "The JPEG has no frame header. Capture it again.")
    if data.count(_SCAN, at) > _MAX_SCANS:
        raise PermanentError("undecodable", "The JPEG has far too many scans. Capture it again.")
    precision, height, width, components = frame
    return JpegHead(width, height, components, precision, process, exif, at)


def verify_jpeg_structure(data: bytes) -> JpegHead:
    """Walk a JPEG from its first byte to its end marker, without decoding a pixel.

    What comes after the end marker is not looked at: cameras put notes there.

    Raises:
        PermanentError: `truncated` where the file ends before its end marker, `not-an-image` where
            it is no JPEG, else `undecodable`.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise PermanentError("not-an-image", "The file is no JPEG.")
    head = read_jpeg_head(data)
    at = _end_of_scan(data, head.scans_at)
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(data, at, ends_in="picture")
        if marker == _END_OF_IMAGE:
            return head
        if marker in _ALONE:
            continue
        at = _end_of_scan(data, at) if marker == _START_OF_SCAN else at + _length(data, at)
    raise PermanentError("undecodable", "The JPEG has far too many segments. Capture it again.")


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the marker behind a scan's coded data stands."""
    start = at + _length(data, at)
    found = _END_OF_SCAN.search(data, start)
    if found is None:
        raise _ends_in("picture")
    if found.start() == start:
        raise PermanentError("undecodable", "The JPEG has an empty scan. Capture it again.")
    return found.start()


def _next_marker(data: bytes, at: int, ends_in: str = "header") -> tuple[int, int]:
    """Return the marker that stands here, and where its segment starts."""
    found = _MARKER.match(data, at)
    if found is not None:
        return found[1][0], found.end()
    if not data[at : at + 1].strip(b"\xff"):
        raise _ends_in(ends_in)
    raise PermanentError("undecodable", "The JPEG's segments are damaged. Capture it again.")


def _length(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise _ends_in("header")
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2:
        raise PermanentError("undecodable", "The JPEG's segments are damaged. Capture it again.")
    return length


def _frame(data: bytes, at: int) -> tuple[int, int, int, int]:
    if at + 8 > len(data):
        raise _ends_in("header")
    precision, height, width, components = struct.unpack_from(">BHHB", data, at + 2)
    return precision, height, width, components


def _ends_in(place: str) -> PermanentError:
    return PermanentError(
        "truncated", f"The JPEG ends inside its {place}. Was it still being written or copied?"
    )
