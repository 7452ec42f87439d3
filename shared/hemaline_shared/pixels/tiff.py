"""What a TIFF holds, by its directories: judged before anything is decoded."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.faults import truncated, undecodable, unsupported

_MAX_DIRECTORIES = 1_000
_MAX_SEGMENTS = 250_000  # 50 megapixels in tiles of 16 x 16 pixels are 200,000
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: a preview, a mask
_LARGEST_PREVIEW = 256
"""Pixels along the longer side: EXIF previews have 160, and not every program marks them."""
_SUBIFDS, _DNG_VERSION = 330, 50706
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # bytes of a value, by its TIFF type


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """One picture of a file, as its directory announces it: `directory` counts from 0."""

    directory: int
    width: int
    height: int


def tiff_pictures(data: bytes) -> tuple[TiffPicture, ...]:
    """Return the pictures that a TIFF holds, previews and masks aside.

    Raises:
        PermanentError: `truncated`, `undecodable` or `unsupported-format`.
    """
    if data[8:10] == b"CR":
        raise unsupported("a camera's raw data")
    pictures = []
    raw = False
    for number, tags in enumerate(_directories(data)):
        raw = raw or _SUBIFDS in tags or _DNG_VERSION in tags
        kind = tags.get(254, 0)
        if tags.get(255) == 2 or kind & (_REDUCED | _MASK):
            continue
        width, height = tags.get(256, 0), tags.get(257, 0)
        if width < 1 or height < 1:
            raise PermanentError(
                "undecodable", f"The TIFF says {width}x{height} pixels. Capture it again."
            )
        pictures.append(TiffPicture(number, width, height))
    if not pictures and raw:
        raise unsupported("a camera's raw data")
    if not pictures:
        raise PermanentError("undecodable", "The TIFF holds nothing but previews or masks.")
    return _without_copies(pictures)


def _without_copies(pictures: list[TiffPicture]) -> tuple[TiffPicture, ...]:
    """Leave unmarked previews out; refuse a picture at several sizes, each of which would count."""
    kept = []
    for picture in pictures:
        if not any(_is_reduced(picture, other) for other in pictures):
            kept.append(picture)
        elif max(picture.width, picture.height) > _LARGEST_PREVIEW:
            raise unsupported("one picture at several sizes, as scans of whole slides do")
    return tuple(kept)


def _is_reduced(small: TiffPicture, large: TiffPicture) -> bool:
    """Whether one has the other's shape at half its size or less."""
    if 2 * small.width > large.width + 1 or 2 * small.height > large.height + 1:
        return False
    height = small.width * large.height / large.width
    return abs(small.height - height) <= 1 + 0.02 * height


def _directories(data: bytes) -> Iterator[dict[int, int]]:
    """Yield each directory's tags with their first value; strips and tiles with their number."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in {b"+\0", b"\0+"}
    pointer, entry, first = ("Q", "HHQ", 8) if big else ("I", "HHI", 4)
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + pointer, data, first)
        while at:
            if at in seen or len(seen) >= _MAX_DIRECTORIES:
                raise unsupported("too many directories, or the same one twice")
            seen.add(at)
            (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
            at += 8 if big else 2
            if count > 4096:
                raise undecodable()
            tags: dict[int, int] = {}
            for _ in range(count):
                tag, kind, number = struct.unpack_from(order + entry, data, at)
                value_at = at + struct.calcsize("=" + entry)
                tags[tag] = _first_value(data, order, kind, number, value_at)
                if tag in {273, 324} and number > _MAX_SEGMENTS:
                    raise undecodable()
                at += 20 if big else 12
            (at,) = struct.unpack_from(order + pointer, data, at)
            yield tags  # only now: a file that ends inside this directory says nothing true
    except struct.error as error:
        raise truncated() from error


def _first_value(data: bytes, order: str, kind: int, number: int, at: int) -> int:
    """Return a tag's value where it stands in its entry; enough for sizes and flags."""
    size = _SIZES.get(kind, 0)
    if number != 1 or size == 0:
        return 0
    return int.from_bytes(data[at : at + size], "little" if order == "<" else "big")
