"""What an image file says about itself, read before any pixel is decoded."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.faults import truncated, undecodable, unsupported
from hemaline_shared.pixels.jpeg import read_jpeg_head
from hemaline_shared.pixels.tiff import tiff_pictures

MediaType: TypeAlias = Literal["image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIGNATURES: tuple[tuple[bytes, MediaType], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (_PNG_SIGNATURE, "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),  # BigTIFF, which slide scanners write
    (b"MM\x00+", "image/tiff"),
    (b"BM", "image/bmp"),
)
_FOREIGN_SIGNATURES = (
    (0, b"GIF8", "GIF"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"IIU\x00", "a camera's raw"),
    (0, b"IIRO", "a camera's raw"),
    (0, b"FUJIFILM", "a camera's raw"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"P3\n", "PNM"),
    (0, b"P5\n", "PNM"),
    (0, b"P6\n", "PNM"),
    (0, b"ZISRAWFILE", "Zeiss CZI"),
    (0, b"\xda\xce\xbe\x0a", "Nikon ND2"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Olympus OIB or Office"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"%PDF", "PDF"),
    (4, b"ftyp", "HEIF, AVIF or video"),
    (8, b"AVI ", "video"),
    (0, b"\x1a\x45\xdf\xa3", "video"),
    (128, b"DICM", "DICOM"),
)
_MAX_PNG_CHUNKS = 65_536  # 64 MiB in libpng's chunks of 8 KiB is an eighth of that


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header claims; nothing of it has been proved by decoding.

    Attributes:
        media_type: By the file's first bytes, whatever its name says.
        width: Stored pixels across, before an EXIF orientation is applied.
        height: Stored pixels down, before any EXIF orientation is applied.
    """

    media_type: MediaType
    width: int
    height: int


def inspect_image(data: bytes) -> ImageHeader:
    """Read an image's header, in microseconds and without decoding a pixel.

    Raises:
        PermanentError: `empty`, `not-an-image`, `unsupported-format`, `truncated` (the file ends
            inside its header) or `undecodable` (the header makes no sense).
    """
    media_type = _media_type(data)
    width, height = _size(data, media_type)
    if width < 1 or height < 1:
        raise PermanentError(
            "undecodable", f"The image's header says {width}x{height} pixels. Capture it again."
        )
    return ImageHeader(media_type, width, height)


def verify_png_structure(data: bytes) -> ImageHeader:
    """Walk a PNG's chunks to the end and compare each checksum, without decoding a pixel.

    What comes after the end chunk is not looked at.

    Raises:
        PermanentError: `truncated` where the file ends before its end chunk, `not-an-image` where
            it is no PNG, else `undecodable`.
    """
    if not data.startswith(_PNG_SIGNATURE):
        raise PermanentError("not-an-image", "The file is no PNG.")
    width, height = _png_size(data)
    if width < 1 or height < 1:
        raise undecodable()
    chunks = list(png_chunks(data))
    if not all(chunk.whole for chunk in chunks):
        raise undecodable()
    if not {b"IDAT", b"IEND"}.issubset(chunk.kind for chunk in chunks):
        raise undecodable()
    return ImageHeader("image/png", width, height)


@dataclass(frozen=True, slots=True)
class PngChunk:
    """Where a chunk lies in the file, and whether its checksum is right."""

    kind: bytes
    start: int
    end: int
    whole: bool

    def body(self, data: bytes) -> bytes:
        """Return what the chunk holds."""
        return data[self.start + 8 : self.end - 4]


def png_chunks(data: bytes) -> Iterator[PngChunk]:
    """Yield a PNG's chunks up to its end chunk; raises as `verify_png_structure`."""
    view = memoryview(data)
    at = len(_PNG_SIGNATURE)
    for _ in range(_MAX_PNG_CHUNKS):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise truncated()
        whole = zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        kind = data[at + 4 : at + 8]
        yield PngChunk(kind, at, end, whole)
        if kind == b"IEND":
            return
        at = end
    raise undecodable()


def exif_orientation(exif: bytes) -> int:
    """Return the orientation (1 to 8) that an EXIF block names; 1 where it names none."""
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
            if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        return 1  # a damaged EXIF block is no reason to lose a good frame
    return 1


def _media_type(data: bytes) -> MediaType:
    if not data:
        raise PermanentError("empty", "The image file is empty (0 bytes). Capture it again.")
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for offset, signature, name in _FOREIGN_SIGNATURES:
        if data.startswith(signature, offset):
            raise unsupported(f"{name} data")
    raise PermanentError(
        "not-an-image", "The file is not an image of any kind that Hemaline knows."
    )


def _size(data: bytes, media_type: MediaType) -> tuple[int, int]:
    if media_type == "image/jpeg":
        head = read_jpeg_head(data)
        return head.width, head.height
    if media_type == "image/tiff":
        first = tiff_pictures(data)[0]
        return first.width, first.height
    sizes = {"image/webp": _webp_size, "image/png": _png_size, "image/bmp": _bmp_size}
    return sizes[media_type](data)


def _bmp_size(data: bytes) -> tuple[int, int]:
    if len(data) < 26:
        raise truncated()
    if int.from_bytes(data[14:18], "little") == 12:  # OS/2
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # below zero: the first row stands at the top


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 24:
        raise truncated()
    if data[12:16] != b"IHDR":
        raise undecodable()
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    if len(data) < 30:
        raise truncated()
    chunk = data[12:16]
    if chunk == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise undecodable()
