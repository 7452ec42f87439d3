"""The walk over PNG chunks and JPEG markers: whole files pass, each kind of damage does not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.header import verify_png_structure
from hemaline_shared.pixels.jpeg import verify_jpeg_structure

NOISE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)


def jpeg(**options) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(NOISE).save(sink, "JPEG", **options)
    return sink.getvalue()


def reason_of(verify, data: bytes) -> str:
    with pytest.raises(PermanentError) as caught:
        verify(data)
    return caught.value.reason


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_what_the_edge_encodes_passes_and_tells_its_size():
    field, crop = (
        verify_jpeg_structure(encode_field(NOISE)),
        verify_png_structure(encode_crop(NOISE)),
    )
    assert (field.width, field.height, field.components, field.precision) == (80, 60, 3, 8)
    assert (crop.width, crop.height) == (80, 60)


@pytest.mark.parametrize("kept", [9, 20, 40, 100, 2000, -13, -12, -1])
def test_a_png_cut_short_anywhere_is_truncated(kept):
    assert reason_of(verify_png_structure, encode_crop(NOISE)[:kept]) == "truncated"


def test_a_single_changed_byte_of_a_png_is_noticed_wherever_it_is():
    whole = encode_crop(NOISE)
    for place in [*range(8, 60), len(whole) // 2, *range(len(whole) - 20, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 0x10
        assert reason_of(verify_png_structure, bytes(data)) in {"truncated", "undecodable"}, place


def test_a_png_without_pixels_or_of_nothing_but_chunks_is_undecodable():
    head = encode_crop(NOISE)[:33]
    assert reason_of(verify_png_structure, head + chunk(b"IEND")) == "undecodable"
    assert reason_of(verify_png_structure, head + 70_000 * chunk(b"teXt")) == "undecodable"


def test_a_png_of_no_width_is_undecodable():
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0))
    data = head + chunk(b"IDAT", b"x") + chunk(b"IEND")
    assert reason_of(verify_png_structure, data) == "undecodable"


@pytest.mark.parametrize("verify", [verify_png_structure, verify_jpeg_structure])
@pytest.mark.parametrize("data", [b"", b"BM", b"GIF89a"])
def test_a_file_of_another_kind_is_called_that(verify, data):
    assert reason_of(verify, data) == "not-an-image"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_every_way_of_coding_a_jpeg_passes_and_its_notes_behind_the_end_do_no_harm(options):
    assert verify_jpeg_structure(jpeg(**options) + b"camera maker's notes").height == 60


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("kept", [3, 30, 200, 800, 2000, -2, -1])
def test_a_jpeg_cut_short_anywhere_is_truncated(options, kept):
    assert reason_of(verify_jpeg_structure, jpeg(**options)[:kept]) == "truncated"


def test_a_jpeg_that_ends_in_its_thumbnail_s_end_marker_only_is_truncated():
    thumbnail = jpeg(quality=5)
    whole = jpeg(exif=b"Exif\0\0II*\0\0\0\0\0" + thumbnail)
    assert reason_of(verify_jpeg_structure, whole[:-2]) == "truncated"


def test_a_jpeg_with_a_marker_that_cannot_stand_in_its_scan_is_undecodable():
    whole = jpeg()
    scan = whole.index(b"\xff\xda")
    middle = (scan + len(whole)) // 2
    garbage = whole[:middle] + b"\xff\xe0\0\1" + whole[middle:]
    assert reason_of(verify_jpeg_structure, garbage) == "undecodable"


def test_a_jpeg_with_an_empty_scan_is_undecodable():
    whole = jpeg()
    scan = whole.index(b"\xff\xda")
    coded = scan + 2 + int.from_bytes(whole[scan + 2 : scan + 4], "big")
    assert reason_of(verify_jpeg_structure, whole[:coded] + b"\xff\xd9") == "undecodable"


def test_a_jpeg_of_endless_small_segments_is_given_up_in_good_time():
    whole = jpeg()
    assert reason_of(verify_jpeg_structure, whole[:-2] + b"\xff\xd0" * 1_000_000) == "truncated"
    assert reason_of(verify_jpeg_structure, whole[:-2] + b"\xff\xfe\0\2" * 10_000) == "undecodable"


def test_a_jpeg_has_a_hundred_scans_at_most():
    whole = jpeg(progressive=True)
    first = whole.index(b"\xff\xda")
    second = whole.index(b"\xff\xda", first + 1)

    def with_scans(number: int) -> bytes:
        more = number - whole.count(b"\xff\xda")
        return whole[:second] + more * whole[first:second] + whole[second:]

    assert verify_jpeg_structure(with_scans(100)).width == 80
    assert reason_of(verify_jpeg_structure, with_scans(101)) == "undecodable"
