"""A JPEG's segments and scans: read as leniently as cameras write them, and checked to the end."""

import re
import struct
from dataclasses import dataclass

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.faults import unsupported

_MAX_SEGMENTS = 4096  # a real file has dozens; a hostile one could keep us walking for long
_MAX_SCANS = 100  # a progressive file has ten; each costs a pass over all pixels, in 40 bytes
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may stand before
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # neither a stuffed byte nor a restart
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_LS = 0xF7  # another coding in JPEG's segments
_APP0, _APP1, _APP2, _APP14, _APP15, _NOTE = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_SCAN = b"\xff\xda"
_EMPTY_SECTOR = bytes(512)


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
        pictures: More than one where the camera put several full pictures into one file (MPO).
        scans_at: Where the first scan's segment starts.
    """

    width: int
    height: int
    components: int
    precision: int
    process: int
    exif: bytes
    pictures: int
    scans_at: int


def read_jpeg_head(data: bytes) -> JpegHead:
    """Walk the segments of a JPEG up to its first scan; the metadata itself is not judged.

    Raises:
        PermanentError: `truncated`, `undecodable`, or `unsupported-format` for JPEG-LS.
    """
    head = _read_head(data)
    if data.count(_SCAN, head.scans_at) > _MAX_SCANS:
        raise _too_many_scans()
    return head


def _read_head(data: bytes) -> JpegHead:
    frame: tuple[int, int, int, int] | None = None
    process, pictures = 0, 1
    exif = b""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker == _START_OF_SCAN:
            break
        end = at + _length(data, at)
        if marker in _FRAME_STARTS:
            process, frame = marker, _frame(data, at)
        elif marker == _JPEG_LS:
            raise unsupported("JPEG-LS data")
        elif marker == _APP1 and data.startswith(b"Exif\x00\x00", at + 2) and not exif:
            exif = data[at + 2 : end]
        elif marker == _APP2 and data.startswith(b"MPF\x00", at + 2):
            pictures = _full_pictures(data[at + 6 : end])
        at = end
    if frame is None:
        raise PermanentError("undecodable", "The JPEG has no frame header. Capture it again.")
    precision, height, width, components = frame
    return JpegHead(width, height, components, precision, process, exif, pictures, at)


def verify_jpeg_structure(data: bytes) -> JpegHead:
    """Walk a JPEG from its first byte to its end marker, without decoding a pixel.

    What comes after the end marker is not looked at: cameras put notes there.

    Raises:
        PermanentError: `truncated` where the file ends before its end marker, `not-an-image` where
            it is no JPEG, `unsupported-format` for JPEG-LS, else `undecodable`.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise PermanentError("not-an-image", "The file is no JPEG.")
    head = _read_head(data)
    at, scans = _end_of_scan(data, head.scans_at), 1
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(data, at, ends_in="picture")
        if marker == _END_OF_IMAGE:
            if _has_empty_sector(data, head.scans_at, at):
                raise PermanentError("undecodable", "The JPEG has a hole. Copy it again.")
            return head
        if marker in _ALONE:
            continue
        if marker != _START_OF_SCAN:
            at += _length(data, at)
            continue
        at, scans = _end_of_scan(data, at), scans + 1
        if scans > _MAX_SCANS:
            raise _too_many_scans()
    raise PermanentError("undecodable", "The JPEG has far too many segments. Capture it again.")


def without_notes(data: bytes) -> bytes:
    """Return the JPEG without its header's profiles and texts: the picture and its colours only."""
    lean, at = bytearray(data[:2]), 2
    for _ in range(_MAX_SEGMENTS):
        marker, start = _next_marker(data, at)
        if marker == _START_OF_SCAN:
            break
        end = start + _length(data, start)
        note = _APP0 <= marker <= _APP15 or marker == _NOTE
        if not note or _tells_colours(data, marker, start):
            lean += data[at:end]
        at = end
    return bytes(lean) + data[at:]


def _tells_colours(data: bytes, marker: int, start: int) -> bool:
    """Whether this is a JFIF segment of version 1, or Adobe's with a transform that is defined."""
    if marker == _APP0:
        return data.startswith(b"JFIF\0\1", start + 2)
    adobe = marker == _APP14 and data.startswith(b"Adobe", start + 2)
    return adobe and data[start + 13 : start + 14] in {b"\0", b"\1", b"\2"}


def _full_pictures(index: bytes) -> int:
    """Count the pictures of a Multi-Picture Format index (CIPA DC-007), previews aside."""
    order = "<" if index[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", index, 4)
        (tags,) = struct.unpack_from(order + "H", index, at)
        for tag_at in range(at + 2, at + 2 + 12 * tags, 12):
            tag, _, size, offset = struct.unpack_from(order + "HHII", index, tag_at)
            if tag == 0xB002:
                kinds = [
                    struct.unpack_from(order + "I", index, entry)[0]
                    for entry in range(offset, min(offset + size, len(index)), 16)
                ]
                return max(1, len([kind for kind in kinds if (kind >> 16) & 0xFF != 1]))
    except struct.error:
        return 1  # a damaged index is no reason to lose a good frame
    return 1


def _has_empty_sector(data: bytes, start: int, end: int) -> bool:
    """Whether whole sectors of the file are zeros: a copy left them out, or a disk lost them.

    Coded data may be zero for long where a picture is white, but not from one sector's first byte
    to another's last. Decoding notices nearly every hole, but of a progressive picture not all.
    """
    at = data.find(_EMPTY_SECTOR, start, end)
    while at >= 0:
        after = at + len(data[at:end]) - len(data[at:end].lstrip(b"\0"))
        if at % len(_EMPTY_SECTOR) == 0 and after % len(_EMPTY_SECTOR) == 0:
            return True
        at = data.find(_EMPTY_SECTOR, after, end)
    return False


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


def _too_many_scans() -> PermanentError:
    return PermanentError("undecodable", "The JPEG has far too many scans. Capture it again.")


def _ends_in(place: str) -> PermanentError:
    return PermanentError(
        "truncated", f"The JPEG ends inside its {place}. Was it still being written or copied?"
    )
