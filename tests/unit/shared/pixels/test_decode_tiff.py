"""TIFF as microscopes, scanners and ImageJ write it: read right, or refused by its true reason."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.decode import DEFAULT_LIMITS, ImageLimits, count_images, decode_image
from hemaline_shared.pixels.tiff import TiffPicture, tiff_pictures

HEIGHT, WIDTH = 48, 64
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
FIELD = np.stack([COLUMNS * 3 + 20, ROWS * 4 + 10, 230 - COLUMNS - ROWS], axis=2).astype(np.uint8)
DEEP = FIELD.astype(np.uint16) << 8 | 0x5A


def tiff(*pages, **options) -> bytes:
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink, bigtiff=options.pop("bigtiff", False)) as writer:
        for page in pages:
            writer.write(page, **{"photometric": "rgb", "metadata": None, **options})
    return sink.getvalue()


def reason_of(data: bytes, limits=DEFAULT_LIMITS) -> str:
    with pytest.raises(PermanentError) as caught:
        decode_image(data, limits)
    return caught.value.reason


@pytest.mark.parametrize("field", [FIELD, DEEP], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}])
def test_planes_strips_tiles_and_codings_all_give_the_same_picture(
    field, planar, compression, layout
):
    samples = np.moveaxis(field, -1, 0) if planar else field
    config = "separate" if planar else "contig"
    data = tiff(samples, planarconfig=config, compression=compression, **layout)
    assert np.array_equal(decode_image(data), FIELD)


@pytest.mark.parametrize("options", [{"byteorder": ">"}, {"bigtiff": True}, {"predictor": True}])
def test_either_byte_order_bigtiff_and_predictors_are_read(options):
    sink = io.BytesIO()
    tifffile.imwrite(sink, DEEP, photometric="rgb", compression="zlib", metadata=None, **options)
    assert np.array_equal(decode_image(sink.getvalue()), FIELD)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_named_orientation_is_applied(orientation):
    extra = [(274, "H", 1, orientation, True)]
    turned = {
        1: FIELD,
        2: FIELD[:, ::-1],
        3: FIELD[::-1, ::-1],
        4: FIELD[::-1],
        5: FIELD.transpose(1, 0, 2),
        6: np.rot90(FIELD, -1),
        7: FIELD[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(FIELD),
    }[orientation]
    assert np.array_equal(decode_image(tiff(FIELD, extratags=extra)), turned)


def test_white_may_be_zero():
    grey = FIELD[..., 0]
    decoded = decode_image(tiff(255 - grey, photometric="miniswhite"))
    assert np.array_equal(decoded[..., 1], grey)


def test_cmyk_is_shown_in_its_colours():
    cmyk = np.asarray(Image.new("RGB", (WIDTH, HEIGHT), (230, 200, 210)).convert("CMYK"))
    decoded = decode_image(tiff(np.ascontiguousarray(cmyk), photometric="separated"))
    assert np.abs(decoded[5, 5].astype(int) - [230, 200, 210]).max() <= 1


def test_a_palette_shows_its_colours_and_one_that_is_too_short_is_undecodable():
    indices = (COLUMNS % 4).astype(np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :4] = np.array([[200, 10, 20], [0, 0, 0], [9, 90, 180], [255, 255, 255]]).T * 257
    data = tiff(indices, photometric="palette", colormap=colours)
    assert decode_image(data)[3, :4].tolist() == [
        [200, 10, 20], [0, 0, 0], [9, 90, 180], [255, 255, 255]
    ]  # fmt: skip


def test_jpeg_inside_is_read_and_its_damage_is_noticed():
    decoded = decode_image(tiff(FIELD, rowsperstrip=16, compression="jpeg"))
    assert np.abs(decoded.astype(int) - FIELD).mean() < 3
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    hole = bytearray(tiff(noise, rowsperstrip=32, compression="jpeg"))
    middle = len(hole) // 2
    hole[middle : middle + 700] = bytes(700)
    assert reason_of(bytes(hole)) == "undecodable"


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_a_hole_in_coded_strips_is_damage(compression):
    noise = np.random.default_rng(2).integers(0, 256, (128, 128, 3), np.uint8)
    data = bytearray(tiff(noise, compression=compression, rowsperstrip=32))
    data[20_000:24_096] = bytes(4096)
    assert reason_of(bytes(data)) in {"undecodable", "truncated"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"compression": "jpeg2000"}, "JPEG 2000"),
        ({"compression": "webp"}, "WebP"),
        ({"photometric": "cielab"}, r"L\*a\*b"),
    ],
)
def test_a_coding_that_is_not_read_is_named(options, named):
    with pytest.raises(PermanentError, match=named) as caught:
        decode_image(tiff(FIELD, **options))
    assert caught.value.reason == "unsupported-format"


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float32, np.float64])
def test_samples_that_are_not_8_or_16_bits_are_named(dtype):
    with pytest.raises(PermanentError, match="samples of") as caught:
        decode_image(tiff(FIELD.astype(dtype)))
    assert caught.value.reason == "unsupported-format"


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_largest_sample_value_tells_the_depth(bits):
    dim = FIELD.astype(np.uint16) << (bits - 8) >> 3  # far too dark to tell by content
    largest = (281, "H", 3, (2**bits - 1,) * 3, True)
    decoded = decode_image(tiff(dim, extratags=[largest]))
    assert np.array_equal(decoded, FIELD >> 3)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_bright_picture_in_the_lower_bits_is_scaled_by_the_camera_s_depth(bits):
    assert np.array_equal(decode_image(tiff(FIELD.astype(np.uint16) << (bits - 8))), FIELD)


def test_a_picture_that_would_be_too_dark_at_any_depth_stays_dark():
    dark = (FIELD * 19.0).astype(np.uint16)  # 0.27 of what 14 bits hold
    assert decode_image(tiff(dark)).max() <= 18


@pytest.mark.parametrize("value", [0, 1, 255])
@pytest.mark.parametrize("meaning", ["unassalpha", "assocalpha", "unspecified"])
def test_an_alpha_that_is_the_same_everywhere_hides_nothing(value, meaning):
    alpha = np.full((HEIGHT, WIDTH, 1), value, np.uint8)
    data = tiff(np.concatenate([FIELD, alpha], axis=2), extrasamples=[meaning])
    assert np.array_equal(decode_image(data), FIELD)


def test_an_alpha_that_varies_lays_the_picture_over_white():
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, 32:] = 0
    straight = tiff(np.concatenate([FIELD, alpha], axis=2), extrasamples=["unassalpha"])
    premultiplied = np.where(alpha > 0, FIELD, 0).astype(np.uint8)
    associated = tiff(np.concatenate([premultiplied, alpha], axis=2), extrasamples=["assocalpha"])
    for data in (straight, associated):
        decoded = decode_image(data)
        assert np.array_equal(decoded[:, :32], FIELD[:, :32])
        assert (decoded[:, 32:] == 255).all()


def test_each_page_is_an_image_of_its_own():
    data = tiff(FIELD, FIELD[::-1], 255 - FIELD, compression="zlib")
    assert count_images(data) == 3
    assert reason_of(data) == "several-images"
    assert np.array_equal(decode_image(data, index=0), FIELD)
    assert np.array_equal(decode_image(data, index=1), FIELD[::-1])
    assert np.array_equal(decode_image(data, index=2), 255 - FIELD)


def test_pages_of_other_sizes_count_and_previews_and_masks_do_not():
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink) as writer:
        writer.write(FIELD[::4, ::4], photometric="rgb", metadata=None, subfiletype=1)
        writer.write(FIELD, photometric="rgb", metadata=None)
        writer.write(FIELD[..., 0] > 99, metadata=None, subfiletype=4)
        writer.write(FIELD[:40], photometric="rgb", metadata=None)
    data = sink.getvalue()
    assert count_images(data) == 2
    assert np.array_equal(decode_image(data, index=0), FIELD)
    assert np.array_equal(decode_image(data, index=1), FIELD[:40])


def pages_of(*pages, **options) -> bytes:
    """A TIFF of pages of which nothing says which is a preview."""
    return tiff(*map(np.ascontiguousarray, pages), **options)


@pytest.mark.parametrize("step", [2, 4, 9])
@pytest.mark.parametrize("first", [False, True])
def test_an_unmarked_preview_is_no_field(step, first):
    preview = FIELD[::step, ::step]
    data = pages_of(preview, FIELD) if first else pages_of(FIELD, preview)
    assert count_images(data) == 1
    assert np.array_equal(decode_image(data), FIELD)


def test_the_levels_of_a_scanned_slide_are_refused_and_not_counted_as_fields():
    scan = np.tile(FIELD, (20, 20, 1))
    data = pages_of(scan, scan[::8, ::8], scan[::2, ::2], compression="zlib")
    with pytest.raises(PermanentError, match="at several sizes") as caught:
        count_images(data)
    assert caught.value.reason == "unsupported-format"


@pytest.mark.parametrize("mark", ["subifds", "dng", "canon"])
def test_a_camera_s_raw_data_are_named(mark):
    sink = io.BytesIO()
    version = [(50706, "B", 4, (1, 4, 0, 0), True)] if mark == "dng" else []
    with tifffile.TiffWriter(sink) as writer:
        inner = 1 if mark == "subifds" else 0
        writer.write(FIELD, subfiletype=1, metadata=None, extratags=version, subifds=inner)
        if inner:
            writer.write(DEEP[..., 1], photometric=32803, metadata=None)
    data = sink.getvalue()
    if mark == "canon":
        data = data[:8] + b"CR\2\0" + data[12:]
    with pytest.raises(PermanentError, match="a camera's raw data") as caught:
        decode_image(data)
    assert caught.value.reason == "unsupported-format"


def without_tag(data: bytes, tag: int) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[tag].offset
    return data[:at] + struct.pack("<H", 65_000) + data[at + 2 :]


def test_samples_of_which_size_or_colours_are_not_told_give_no_picture():
    assert reason_of(without_tag(tiff(FIELD), 258)) == "undecodable"
    assert reason_of(without_tag(tiff(FIELD), 262)) == "unsupported-format"
    grey = tiff(FIELD).replace(
        struct.pack("<HHIH", 262, 3, 1, 2), struct.pack("<HHIH", 262, 3, 1, 1)
    )
    assert grey != tiff(FIELD)
    assert reason_of(grey) == "unsupported-format"


def test_a_largest_sample_value_that_the_samples_exceed_tells_nothing():
    assert np.array_equal(
        decode_image(tiff(DEEP, extratags=[(281, "H", 3, (4095,) * 3, True)])), FIELD
    )


@pytest.mark.parametrize("kind", ["minisblack", "miniswhite", "separated", "palette"])
def test_rows_that_nobody_has_written_are_no_picture_in_any_colours(kind):
    samples = np.ascontiguousarray(FIELD[..., 1])
    options = {"photometric": kind}
    if kind == "separated":
        samples = np.asarray(Image.fromarray(FIELD).convert("CMYK")).copy()
    if kind == "palette":
        options["colormap"] = np.arange(256, dtype=np.uint16)[None].repeat(3, 0) * 257
    assert decode_image(tiff(samples, **options)).shape == FIELD.shape
    samples[30:] = 0
    assert reason_of(tiff(samples, **options)) == "truncated"


@pytest.mark.parametrize("axes", ["CYX", "ZYX", "TYX"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_planes_of_one_place_are_refused_and_not_counted_as_fields(axes, kind):
    sink = io.BytesIO()
    planes = np.ascontiguousarray(np.moveaxis(FIELD, -1, 0))
    tifffile.imwrite(sink, planes, photometric="minisblack", metadata={"axes": axes},
                     **{kind: True})  # fmt: skip
    with pytest.raises(PermanentError, match="stack of planes") as caught:
        decode_image(sink.getvalue(), index=0)
    assert caught.value.reason == "unsupported-format"


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_single_plane_of_a_microscope_s_program_is_read(kind):
    sink = io.BytesIO()
    tifffile.imwrite(sink, FIELD, photometric="rgb", **{kind: True})
    assert np.array_equal(decode_image(sink.getvalue()), FIELD)


def test_a_loop_of_directories_is_refused():
    data = bytearray(tiff(FIELD))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    assert reason_of(bytes(data)) == "unsupported-format"


def test_a_strip_that_unpacks_to_far_more_than_its_rows_takes_no_memory():
    small = np.zeros((8, 8, 3), np.uint8)
    bomb = tiff(np.zeros((4000, 4000, 3), np.uint8), compression="zlib", rowsperstrip=4000)
    data = bomb.replace(struct.pack("<HHII", 256, 4, 1, 4000), struct.pack("<HHII", 256, 4, 1, 8))
    data = data.replace(struct.pack("<HHII", 257, 4, 1, 4000), struct.pack("<HHII", 257, 4, 1, 8))
    assert data != bomb
    decode_image(tiff(small + 9))
    tracemalloc.start()
    try:
        assert reason_of(data) == "undecodable"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_the_limit_of_pixels_holds_for_each_page():
    data = tiff(FIELD[:8, :8], FIELD)
    limits = ImageLimits(max_pixels=WIDTH * HEIGHT - 1)
    assert decode_image(data, limits, index=0).shape == (8, 8, 3)
    with pytest.raises(PermanentError) as caught:
        decode_image(data, limits, index=1)
    assert caught.value.reason == "too-many-pixels"


def test_a_strip_without_bytes_is_truncated():
    data = bytearray(tiff(FIELD, compression="zlib", rowsperstrip=12))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        counts = file.pages[0].tags[279]
    data[counts.valueoffset : counts.valueoffset + 2] = bytes(2)
    assert reason_of(bytes(data)) == "truncated"


@pytest.mark.parametrize(
    "lost", [slice(38, 48), slice(0, 10), slice(20, 23), slice(20, 21), slice(0, 48)]
)
@pytest.mark.parametrize("field", [FIELD, DEEP], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("planar", [False, True])
def test_rows_that_nobody_has_written_yet_are_no_picture(lost, field, planar):
    broken = field.copy()
    broken[lost, :, 1 if planar else slice(None)] = 0
    samples = np.moveaxis(broken, -1, 0) if planar else broken
    data = tiff(samples, planarconfig="separate" if planar else "contig")
    assert reason_of(data) == "truncated"


def test_a_raw_file_of_full_size_that_ends_in_zeros_is_truncated_wherever_it_stopped():
    whole = tiff(FIELD)
    start = len(whole) - FIELD.nbytes
    for written in range(start, len(whole) - 3 * WIDTH, 611):
        assert reason_of(whole[:written] + bytes(len(whole) - written)) == "truncated", written


def test_what_is_black_by_nature_is_a_picture():
    around = FIELD.copy()  # a round view through an eyepiece
    around[(COLUMNS - 32) ** 2 + (ROWS - 24) ** 2 > 22**2] = 0
    bars = FIELD.copy()  # a letterbox
    bars[:6] = bars[-6:] = 0
    caption = FIELD.copy()  # a line of text on black
    caption[36:] = 0
    caption[40:44, 10:30:2] = 255
    for picture in (around, bars, caption):
        assert np.array_equal(decode_image(tiff(picture)), picture)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(1, "B"), (3, "H"), (4, "I"), (16, "Q")])
def test_a_size_may_be_any_whole_number_and_what_fills_its_place_up_means_nothing(
    order, kind, code
):
    big = code == "Q"

    def entry(tag: int, value: int) -> bytes:
        place = struct.pack(order + code, value).ljust(8 if big else 4, b"\xff")
        return struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + place

    version = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    head = (b"II" if order == "<" else b"MM") + version
    entries = struct.pack(order + ("Q" if big else "H"), 2) + entry(256, 200) + entry(257, 100)
    data = head + entries + bytes(8 if big else 4)
    assert tiff_pictures(data) == (TiffPicture(0, 200, 100),)
    for kept in range(4, len(data)):
        with pytest.raises(PermanentError) as caught:
            tiff_pictures(data[:kept])
        assert caught.value.reason == "truncated", kept


@pytest.mark.parametrize("planar", [False, True])
def test_tiles_that_nobody_has_written_yet_are_no_picture(planar):
    samples = np.moveaxis(FIELD, -1, 0) if planar else FIELD
    whole = tiff(samples, planarconfig="separate" if planar else "contig", tile=(16, 16))
    assert np.array_equal(decode_image(whole), FIELD)
    start, tile = len(whole) - FIELD.nbytes, 16 * 16 * (1 if planar else 3)
    for written in range(start, len(whole) - 2 * tile, 611):
        assert reason_of(whole[:written] + bytes(len(whole) - written)) == "truncated", written


def test_black_bars_above_and_below_are_no_hole_in_a_tiled_file():
    boxed = FIELD.copy()
    boxed[:16] = boxed[-16:] = 0
    assert np.array_equal(decode_image(tiff(boxed, tile=(16, 16))), boxed)
