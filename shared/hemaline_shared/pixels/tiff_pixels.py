"""The pictures of a TIFF, read by tifffile: imported only where one comes, for it is large."""

import io
import logging

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.faults import truncated, undecodable, unsupported
from hemaline_shared.pixels.samples import has_hole, over_white, to_eight_bits
from hemaline_shared.pixels.tiff import TiffPicture
from hemaline_shared.pixels.types import RgbImage

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says is said in our own words

_MAX_SAMPLES = 8  # a pixel
_MAX_TILE = 64_000_000  # pixels: each is decoded into memory of its own
_RAW, _JPEG = 1, 7
_READABLE = {_RAW, 5, _JPEG, 8, 32946, 32773, 50000}  # LZW, JPEG, Deflate twice, PackBits, Zstd
_CODINGS = {
    2: "fax", 3: "fax", 4: "fax", 6: "old-style JPEG", 33003: "JPEG 2000", 33004: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy DNG", 34925: "LZMA",
    50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_COLOURS = {8: "CIE L*a*b*", 9: "ICC L*a*b*", 32803: "a raw sensor", 34892: "a raw sensor"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_ONE_SAMPLE = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE}
_PLAIN_COLOURS = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK}


def decode_tiff(data: bytes, picture: TiffPicture) -> tuple[RgbImage, int]:
    """Decode one picture, and return it with the orientation (1 to 8) that it names.

    The caller has held the picture's size against its limits.

    Raises:
        PermanentError: `truncated`, `undecodable` or `unsupported-format`.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            _refuse_stacks(file)
            page = file.pages[picture.directory]
            assert isinstance(page, tifffile.TiffPage)
            _judge(page, picture, data)
            samples = page.asarray(maxworkers=1, squeeze=False)[:, 0]
            orientation = _number(page, 274, 1)
            return _to_rgb(samples, page), orientation if 1 <= orientation <= 8 else 1
    except PermanentError:
        raise
    except Exception as error:  # parsers leak whatever bad bytes provoke
        raise undecodable() from error


def _refuse_stacks(file: tifffile.TiffFile) -> None:
    """Refuse planes, channels and moments of one place: they are neither one field nor several."""
    if not (file.is_imagej or file.is_ome):
        return
    series = file.series[0]
    deep = [f"{n} {axis}" for axis, n in zip(series.axes, series.shape, strict=False)
            if axis not in "YXS" and n > 1]  # fmt: skip
    if deep:
        raise unsupported(f"a stack of planes of one place ({', '.join(deep)})")


def _judge(page: tifffile.TiffPage, picture: TiffPicture, data: bytes) -> None:
    """Hold what the directory announces against what can be read, before decoding."""
    _judge_kind(page)
    sizes = page.imagewidth, page.imagelength, page.imagedepth
    if sizes != (picture.width, picture.height, 1):
        raise undecodable()
    if page.samplesperpixel > _MAX_SAMPLES or page.tilewidth * page.tilelength > _MAX_TILE:
        raise undecodable()
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) != int(np.prod(page.chunked)) and not page.is_contiguous:
        raise undecodable()
    if any(start + count > len(data) or not start or not count for start, count in segments):
        raise truncated()
    announced = page.size * page.bitspersample // 8
    if int(page.compression) == _RAW and sum(page.databytecounts) >= 2 * announced + len(segments):
        raise undecodable()  # its samples are larger than it says, or forgot to say
    if int(page.compression) == _JPEG:
        _judge_jpegs(page, [data[start : start + count] for start, count in segments])


def _judge_kind(page: tifffile.TiffPage) -> None:
    """Refuse the codings, colours and samples that are not read, each by its name."""
    compression, colour, bits = int(page.compression), int(page.photometric), page.bitspersample
    if compression not in _READABLE:
        name = _CODINGS.get(compression, "an unknown coding")
        raise unsupported(f"pixels in {name} (TIFF compression {compression})")
    if colour not in _PLAIN_COLOURS and not (colour == _YCBCR and compression == _JPEG):
        name = _COLOURS.get(colour, "a rare kind")
        raise unsupported(f"colours of {name} (TIFF photometric {colour})")
    odd = page.samplesperpixel - len(page.extrasamples)
    if page.tags.get(262) is None or (colour in _ONE_SAMPLE and odd > 1):
        raise unsupported(f"{page.samplesperpixel} samples a pixel whose colours it does not tell")
    plain = page.dtype is not None and page.dtype.name in {"bool", "uint8", "uint16"}
    if not plain or isinstance(bits, tuple) or (compression == _JPEG and bits != 8):
        kind = {1: "unsigned", 2: "signed", 3: "floating-point"}.get(int(page.sampleformat), "odd")
        raise unsupported(f"samples of {bits} bits, {kind}")


def _judge_jpegs(page: tifffile.TiffPage, segments: list[bytes]) -> None:
    """Decode each segment strictly: the reading that follows does not tell libjpeg's warnings."""
    tables = bytes(page.jpegtables or b"")[:-2]
    for segment in segments:
        whole = tables + segment[2:] if tables else segment
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(whole)
            if width * height > 4 * page.imagewidth * page.imagelength + 1_000_000:
                raise undecodable()
            simplejpeg.decode_jpeg(whole, "GRAY" if page.samplesperpixel == 1 else "RGB")
        except ValueError as error:
            raise undecodable() from error


def _to_rgb(planes: NDArray[np.generic], page: tifffile.TiffPage) -> RgbImage:
    """Turn samples of shape (planes, height, width, samples) into RGB."""
    separate = planes.shape[0] > 1
    samples = np.moveaxis(planes[..., 0], 0, -1) if separate else planes[0]
    colour = int(page.photometric)
    colours = 1 if colour in _ONE_SAMPLE else {_CMYK: 4}.get(colour, 3)
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else None
    if int(page.compression) != _JPEG and has_hole(_written(samples[..., :colours]), tile):
        raise truncated()
    if colour == _PALETTE:
        return _from_palette(samples[..., 0], page)
    depth = 1 if samples.dtype == np.bool_ else _depth(page, samples[..., :colours])
    eight = to_eight_bits(samples[..., :colours], depth)
    if colour == _CMYK:
        return np.array(Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB"))
    if colour == _WHITE_IS_ZERO:
        eight = 255 - eight
    rgb = np.repeat(eight, 3, axis=2) if colours == 1 else eight
    extra = tuple(int(kind) for kind in page.extrasamples)
    if extra and extra[0] in {1, 2} and samples.shape[2] > colours:  # 0: of unknown meaning
        alpha = to_eight_bits(samples[..., colours], depth or 8 * samples.itemsize)
        return over_white(rgb, alpha, premultiplied=extra[0] == 1)
    return np.ascontiguousarray(rgb)


def _written(samples: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return what shows where nothing was written: ink is zero where paper is white."""
    return np.asarray(samples.any(axis=2, keepdims=True)) if samples.shape[2] == 4 else samples


def _depth(page: tifffile.TiffPage, samples: NDArray[np.generic]) -> int | None:
    """Return the bits that a sample uses, where the file says so and its samples bear it out."""
    bits = int(page.bitspersample)
    if bits not in {8, 16}:  # packed samples, such as 12 bits without gaps
        return bits
    depth = _number(page, 281, 0).bit_length()  # MaxSampleValue
    told = bits == 16 and depth > 8 and int(samples.max(initial=0)) < 1 << depth
    return depth if told else None


def _number(page: tifffile.TiffPage, tag: int, default: int) -> int:
    """Return a tag's value, the largest of several; the default where it makes no sense."""
    value = page.tags.valueof(tag)
    values = value if isinstance(value, tuple) else (value,)
    whole = [int(each) for each in values if isinstance(each, int)]
    return max(whole) if whole else default


def _from_palette(indices: NDArray[np.generic], page: tifffile.TiffPage) -> RgbImage:
    colours = page.colormap
    whole = indices.astype(np.int64)
    if colours is None or colours.shape[0] != 3 or int(whole.max()) >= colours.shape[1]:
        raise undecodable()
    shift = 8 if int(colours.max()) > 255 else 0  # some writers forget that entries have 16 bits
    table = (colours >> shift).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(table[:, whole], 0, -1))
