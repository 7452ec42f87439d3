"""Turn an image file's bytes into an RGB array, or say why not."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.header import (
    ImageHeader,
    exif_orientation,
    inspect_image,
    is_complete,
    open_lazily,
    truncated,
    undecodable,
    unsupported,
)
from hemaline_shared.pixels.jpeg import verify_jpeg_structure
from hemaline_shared.pixels.types import RgbImage

_JPEG_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may cost us; both are checked before a pixel is decoded."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = ImageLimits()


def decode_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> RgbImage:
    """Decode JPEG, PNG, TIFF, BMP or WebP to 8-bit RGB, upright.

    Sixteen bits are scaled by the sample's depth, never by its content, so that two fields of one
    slide stay comparable; transparency is laid over white; EXIF orientation is applied; of a
    file with several pages or frames the first counts.

    Returns:
        Shape (height, width, 3), contiguous.

    Raises:
        PermanentError: `empty`, `not-an-image`, `unsupported-format`, `too-many-bytes`,
            `too-many-pixels`, `truncated` or `undecodable`.
    """
    if len(data) > limits.max_bytes:
        raise PermanentError(
            "too-many-bytes",
            f"The image file has {len(data):,} bytes; {limits.max_bytes:,} are allowed.",
        )
    header = inspect_image(data)
    if header.width * header.height > limits.max_pixels:
        raise PermanentError(
            "too-many-pixels",
            f"The image says it is {header.width}x{header.height} pixels; "
            f"{limits.max_pixels:,} in all are allowed.",
        )
    if header.media_type == "image/jpeg":
        pixels, exif = _decode_jpeg(data, header)
    else:
        pixels, exif = _decode_with_pillow(data, header)
    if pixels.shape != (header.height, header.width, 3):
        raise undecodable()
    return _upright(pixels, exif_orientation(exif))


def _decode_jpeg(data: bytes, header: ImageHeader) -> tuple[RgbImage, bytes]:
    head = verify_jpeg_structure(data)
    if head.components == 4:  # CMYK, which OpenCV does not set right
        pixels, _ = _decode_with_pillow(data, header)
        return pixels, head.exif
    return _decode_with_opencv(data), head.exif


def _decode_with_pillow(data: bytes, header: ImageHeader) -> tuple[RgbImage, bytes]:
    image = open_lazily(data, header.media_type)
    if not is_complete(data, header.media_type, image):
        raise truncated()
    if image.size != (header.width, header.height):  # a second header, which no limit has seen
        raise undecodable()
    try:
        image.load()
        pixels = _to_rgb(image)
    except PermanentError:
        raise
    except Exception as error:  # Pillow's decoders leak whatever bad bytes provoke
        raise (truncated() if "truncated" in str(error) else undecodable()) from error
    # Pillow has turned a TIFF upright already.
    exif = b"" if header.media_type == "image/tiff" else image.info.get("exif", b"")
    # A PNG may hold a text called "exif".
    return pixels, exif if isinstance(exif, bytes) else b""


def _decode_with_opencv(data: bytes) -> RgbImage:
    """Decode a grey or colour JPEG: a fifth faster than Pillow, and JPEG is what cameras send."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _JPEG_FLAGS)
    except cv2.error as error:
        raise undecodable() from error
    if pixels is None:
        raise undecodable()
    return pixels.astype(np.uint8, copy=False)


def _to_rgb(image: Image.Image) -> RgbImage:
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    if image.mode in {"I", "F", "LAB", "HSV"}:
        raise unsupported(f"samples of kind {image.mode}")
    if "A" in image.mode or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    # Pillow has already turned Adobe's inverted CMYK the right way round.
    return np.asarray(image.convert("RGB"))


def _from_sixteen_bits(image: Image.Image) -> RgbImage:
    # A TIFF may hold 12-bit samples; its own tag says so. A PNG's are always 16.
    depth = 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        depth = int(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0])
    samples: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    grey = np.right_shift(samples, depth - 8).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _upright(pixels: RgbImage, orientation: int) -> RgbImage:
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
