"""What an image file says about itself, read before any pixel is decoded."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.jpeg import read_jpeg_head

MediaType: TypeAlias = Literal["image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp"]

_PLUGINS: dict[MediaType, type[ImageFile]] = {
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/tiff": TiffImagePlugin.TiffImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
}
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
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (4, b"ftyp", "HEIF, AVIF or video"),
    (128, b"DICM", "DICOM"),
)
_MAX_PNG_CHUNKS = 65_536  # 64 MiB in libpng's chunks of 8 KiB is an eighth of that
_STRIP_TAGS = ((273, 279), (324, 325))  # TIFF offsets and byte counts: of strips, of tiles


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


def open_lazily(data: bytes, media_type: MediaType) -> ImageFile:
    """Return Pillow's image with only its header read; raises as `inspect_image`.

    A WebP's canvas is allocated here, so check its size with `inspect_image` first.
    """
    if media_type == "image/png" and not _png_reaches_its_end(data):
        raise truncated()
    try:
        # The plugin itself, not Image.open: that one warns at its own global pixel limit.
        return _PLUGINS[media_type](io.BytesIO(data))
    except Exception as error:  # Pillow's parsers leak whatever bad bytes provoke
        if not _reaches_its_end(data, media_type):
            raise truncated() from error
        if "unknown pixel mode" in str(error):
            raise unsupported("samples of a kind that Hemaline does not read") from error
        raise undecodable() from error


def is_complete(data: bytes, media_type: MediaType, image: ImageFile) -> bool:
    """Whether the file holds all that its structure announces.

    Decoders fill in what is missing (libjpeg with grey), and a copy that stopped half way must
    not be counted as a field, so this looks before they do.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return all(
            start + count <= len(data)
            for offsets, counts in _STRIP_TAGS
            for start, count in zip(
                image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=False
            )
        )
    return _reaches_its_end(data, media_type)


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
    view = memoryview(data)
    at, kinds = 8, set()
    for _ in range(_MAX_PNG_CHUNKS):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            raise truncated()
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise undecodable()
        kinds.add(data[at + 4 : at + 8])
        if b"IEND" in kinds:
            break
        at = end
    if not kinds.issuperset({b"IDAT", b"IEND"}):
        raise undecodable()
    return ImageHeader("image/png", width, height)


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


def truncated() -> PermanentError:
    """The file ends before the image does."""
    return PermanentError(
        "truncated", "The image file ends too early. Was it still being written or copied?"
    )


def undecodable() -> PermanentError:
    """The bytes are damaged."""
    return PermanentError(
        "undecodable", "The image file is damaged and cannot be decoded. Capture it again."
    )


def unsupported(what: str) -> PermanentError:
    """The file is an image, of a kind this pipeline does not read."""
    return PermanentError(
        "unsupported-format",
        f"The image holds {what}. Save it as 8-bit or 16-bit JPEG, PNG, TIFF, BMP or WebP.",
    )


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


def _reaches_its_end(data: bytes, media_type: MediaType) -> bool:
    if media_type == "image/png":
        return _png_reaches_its_end(data)
    if media_type == "image/webp":
        return len(data) >= 12 and len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if media_type == "image/tiff":
        order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        return len(data) >= 8 and int.from_bytes(data[4:8], order) + 6 <= len(data)
    return len(data) >= 54


def _size(data: bytes, media_type: MediaType) -> tuple[int, int]:
    if media_type == "image/jpeg":
        # Pillow refuses a JPEG for damaged EXIF; a frame is worth more than its metadata.
        head = read_jpeg_head(data)
        return head.width, head.height
    if media_type == "image/webp":
        return _webp_size(data)
    if media_type == "image/png":
        return _png_size(data)
    return open_lazily(data, media_type).size


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 24:
        raise truncated()
    if data[12:16] != b"IHDR":
        raise undecodable()
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _png_reaches_its_end(data: bytes) -> bool:
    """Walk the chunks, and give up on a file made of so many that reading them takes seconds."""
    at = 8
    for _ in range(_MAX_PNG_CHUNKS):
        if at + 12 > len(data):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise undecodable()


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
