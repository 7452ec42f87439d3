"""Turn an image file's bytes into an RGB array, or say why not."""

import io
import zlib
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.faults import truncated, undecodable, unsupported
from hemaline_shared.pixels.header import (
    ImageHeader,
    MediaType,
    exif_orientation,
    inspect_image,
    png_chunks,
)
from hemaline_shared.pixels.jpeg import JpegHead, verify_jpeg_structure, without_notes
from hemaline_shared.pixels.samples import has_hole, over_white, to_eight_bits
from hemaline_shared.pixels.tiff import tiff_pictures
from hemaline_shared.pixels.types import RgbImage
from hemaline_shared.pixels.webp import verify_webp

_PLUGINS: dict[MediaType, type[ImageFile]] = {
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
}
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_JPEG_PROCESSES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # the lossless and hierarchical ones are others


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may cost us; both are checked before a pixel is decoded."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = ImageLimits()


def count_images(data: bytes) -> int:
    """Return how many fields a file holds: more than one only in a TIFF with pages.

    Raises:
        PermanentError: As `inspect_image`.
    """
    header = inspect_image(data)
    return len(tiff_pictures(data)) if header.media_type == "image/tiff" else 1


def decode_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS, index: int | None = None
) -> RgbImage:
    """Decode JPEG, PNG, TIFF, BMP or WebP to 8-bit RGB, upright.

    Sixteen bits are scaled by the sample's depth, never by its content, so that two fields of one
    slide stay comparable; transparency is laid over white; EXIF orientation is applied. Whatever
    a decoder only warns of is damage here.

    Args:
        data: The whole file.
        limits: What it may cost.
        index: Which of the file's images, from 0; None where it must hold one only.

    Returns:
        Shape (height, width, 3), contiguous.

    Raises:
        PermanentError: `empty`, `not-an-image`, `unsupported-format`, `too-many-bytes`,
            `too-many-pixels`, `several-images`, `truncated` or `undecodable`.
    """
    if len(data) > limits.max_bytes:
        raise PermanentError(
            "too-many-bytes",
            f"The image file has {len(data):,} bytes; {limits.max_bytes:,} are allowed.",
        )
    header = inspect_image(data)
    if header.media_type == "image/tiff":
        return _decode_tiff(data, limits, index)
    _hold_against(limits, header.width, header.height)
    decoders = {"image/jpeg": _decode_jpeg, "image/png": _decode_png}
    pixels, orientation = decoders.get(header.media_type, _decode_other)(data, header)
    return _upright(pixels, orientation, header.width, header.height)


def _hold_against(limits: ImageLimits, width: int, height: int) -> None:
    if width * height > limits.max_pixels:
        raise PermanentError(
            "too-many-pixels",
            f"The image says it is {width}x{height} pixels; "
            f"{limits.max_pixels:,} in all are allowed.",
        )


def _decode_tiff(data: bytes, limits: ImageLimits, index: int | None) -> RgbImage:
    pictures = tiff_pictures(data)
    if index is None and len(pictures) > 1:
        raise PermanentError(
            "several-images",
            f"The file holds {len(pictures)} images. Save each field as a file of its own.",
        )
    picture = pictures[index or 0]
    _hold_against(limits, picture.width, picture.height)
    # Of 37 MB in memory, and most devices never see a TIFF.
    from hemaline_shared.pixels.tiff_pixels import decode_tiff  # noqa: PLC0415

    pixels, orientation = decode_tiff(data, picture)
    return _upright(pixels, orientation, picture.width, picture.height)


def _decode_jpeg(data: bytes, header: ImageHeader) -> tuple[RgbImage, int]:
    head = verify_jpeg_structure(data)
    if head.precision != 8:
        raise unsupported(f"JPEG samples of {head.precision} bits")
    if head.process not in _JPEG_PROCESSES:
        raise unsupported("a lossless or hierarchical JPEG")
    if head.pictures > 1:
        raise unsupported(f"{head.pictures} pictures in one JPEG")
    pixels = _decode_strictly(data, head, header)
    if head.components == 4:  # simplejpeg has proved it; Pillow knows how to set CMYK right
        pixels = _to_rgb(_load_with_pillow(data, header))
    return pixels, exif_orientation(head.exif)


def _decode_strictly(data: bytes, head: JpegHead, header: ImageHeader) -> RgbImage:
    """Decode with libjpeg's warnings as errors: where it warns, it has made pixels up."""
    colours = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(head.components)
    lean = without_notes(data)  # of which it warns, too
    try:
        # What the decoder itself reads, before it allocates that.
        height, width, _, _ = simplejpeg.decode_jpeg_header(lean)
        if colours is None or (height, width) != (header.height, header.width):
            raise undecodable()
        pixels = simplejpeg.decode_jpeg(lean, colours)
    except ValueError as error:
        if "rithmetic" in str(error):
            raise unsupported("a JPEG with arithmetic coding") from error
        raise undecodable() from error
    return np.repeat(pixels, 3, axis=2) if head.components == 1 else pixels


def _decode_png(data: bytes, header: ImageHeader) -> tuple[RgbImage, int]:
    """Decode a PNG's pixels; its profiles, texts and times cost nothing and are not judged."""
    lean, exif = bytearray(data[:8]), b""
    headers = 0
    for chunk in png_chunks(data):
        if chunk.kind in _PNG_PIXELS:
            if not chunk.whole:
                raise undecodable()
            lean += data[chunk.start : chunk.end]
            headers += chunk.kind == b"IHDR"
        elif chunk.kind == b"eXIf" and chunk.whole:
            exif = chunk.body(data)
        elif chunk.kind == b"acTL" and int.from_bytes(chunk.body(data)[:4], "big") > 1:
            raise unsupported("an animation")
    if headers != 1:  # a second one, which no limit has seen
        raise undecodable()
    decode = _decode_deep_png if data[24] == 16 else _decode_shallow_png
    return decode(bytes(lean), header), exif_orientation(exif)


def _decode_shallow_png(lean: bytes, header: ImageHeader) -> RgbImage:
    image = _load_with_pillow(lean, header)
    if not np.asarray(image)[-1].any():
        _verify_rows(lean, header)
    return _to_rgb(image)


def _verify_rows(lean: bytes, header: ImageHeader) -> None:
    """Refuse a PNG whose coded rows end too early: Pillow leaves the rest at zero without a word.

    Not asked where the last row is not zero, for it costs inflating all of them again.
    """
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(lean[25], 0)
    row = 1 + (header.width * channels * lean[24] + 7) // 8
    missing = header.height * row
    inflater = zlib.decompressobj()
    for chunk in png_chunks(lean):
        waiting = chunk.body(lean) if chunk.kind == b"IDAT" else b""
        while waiting and missing > 0:
            missing -= len(inflater.decompress(waiting, 1 << 20))
            waiting = inflater.unconsumed_tail
    if missing > 0 and not lean[28]:  # interlaced rows are counted by Pillow itself
        raise truncated()


def _decode_deep_png(lean: bytes, _header: ImageHeader) -> RgbImage:
    """Decode 16 bits a sample, of which a camera may have used fewer; Pillow drops the lower 8."""
    import imagecodecs  # noqa: PLC0415

    try:
        samples = np.atleast_3d(imagecodecs.png_decode(lean))
    except Exception as error:  # whatever bad bytes provoke
        raise undecodable() from error
    with_alpha = samples.shape[2] in {2, 4}
    colours = samples.shape[2] - with_alpha
    eight = to_eight_bits(samples[..., :colours])
    rgb = np.repeat(eight, 3, axis=2) if colours == 1 else eight
    return over_white(rgb, to_eight_bits(samples[..., -1], 16)) if with_alpha else rgb


def _decode_other(data: bytes, header: ImageHeader) -> tuple[RgbImage, int]:
    """Decode WebP or BMP."""
    if header.media_type == "image/webp":
        verify_webp(data)
    image = _load_with_pillow(data, header)
    pixels = _to_rgb(image)
    if header.media_type == "image/bmp" and image.mode != "P" and has_hole(pixels):
        raise truncated()
    exif = image.info.get("exif", b"")
    return pixels, exif_orientation(exif if isinstance(exif, bytes) else b"")


def _load_with_pillow(data: bytes, header: ImageHeader) -> Image.Image:
    try:
        # The plugin itself, not Image.open: that one warns at its own global pixel limit.
        image = _PLUGINS[header.media_type](io.BytesIO(data))
        same_size = image.size == (header.width, header.height)
        colours = _palette_size(image)
        if same_size:
            image.load()
    except Exception as error:  # Pillow's decoders leak whatever bad bytes provoke
        raise (truncated() if "truncated" in str(error) else undecodable()) from error
    if not same_size or (image.mode == "P" and np.asarray(image).max() >= colours):
        raise undecodable()
    return image


def _palette_size(image: ImageFile) -> int:
    """Return how many colours a file names; once it is loaded, Pillow has filled them up."""
    if image.mode != "P" or image.palette is None:
        return 0
    return len(image.palette.palette) // len(image.palette.rawmode or "RGB")


def _to_rgb(image: Image.Image) -> RgbImage:
    if "A" in image.mode or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return over_white(rgba[..., :3], rgba[..., 3])
    # Pillow has already turned Adobe's inverted CMYK the right way round.
    return np.asarray(image.convert("RGB"))


def _upright(pixels: RgbImage, orientation: int, width: int, height: int) -> RgbImage:
    if pixels.shape != (height, width, 3):
        raise undecodable()
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
