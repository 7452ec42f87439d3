"""A field's crops are what was stored, whole, or the field is refused by name."""

from uuid import uuid4

import cv2
import numpy as np
import pytest

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference import reading
from hemaline_cloud.inference.reading import HeldField, read_field
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.packing import FieldImages, pack, sha256_hex
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.squeeze import squeeze_field
from parts.queued import smooth_crops


@pytest.fixture
def store(tmp_path):
    return open_store(DirectoryObjects(path=tmp_path))


def _held(packed, cells, **changes):
    values = {
        "frame_id": uuid4(),
        "slide_id": uuid4(),
        "site": "lab",
        "device": "scope",
        "object_key": "fields/one",
        "object_sha256": sha256_hex(packed),
        "object_size": len(packed),
        "width": 64,
        "height": 48,
        "pixel_pipeline": "1",
    }
    return HeldField(LeasedField(**{**values, **changes}), tuple(uuid4() for _ in range(cells)))


_FIELD = encode_field(cv2.resize(smooth_crops(1, seed=7)[0], (64, 48)))


def _packed(*crops, field=_FIELD):
    return pack(FieldImages(field, crops))


def _refusal(store, packed, cells, **changes):
    store.put("fields/one", packed)
    with pytest.raises(PermanentError) as caught:
        read_field(store, _held(packed, cells, **changes))
    return caught.value


def test_crops_are_read_in_order_and_without_loss(store):
    crops = smooth_crops(3)
    packed = _packed(*map(encode_crop, crops))
    store.put("fields/one", packed)
    read = read_field(store, _held(packed, 3))
    assert np.array_equal(read.crops, np.stack(crops))


@pytest.mark.parametrize("cells", [0, 2])
def test_a_field_that_is_asked_about_itself_comes_after_its_cells(store, cells):
    crops = smooth_crops(cells)
    packed = _packed(*map(encode_crop, crops))
    store.put("fields/one", packed)
    read = read_field(store, _held(packed, cells), whole=True)
    assert read.crops.shape == (cells + 1, 224, 224, 3)
    assert np.array_equal(read.crops[:cells], np.array(crops).reshape(-1, 224, 224, 3))
    assert np.array_equal(read.crops[-1], squeeze_field(decode_image(_FIELD)))


@pytest.mark.parametrize("cells", [0, 1])
def test_a_field_without_an_image_is_refused_even_where_nothing_is_asked_of_it(store, cells):
    packed = _packed(*map(encode_crop, smooth_crops(cells)), field=b"no JPEG")
    error = _refusal(store, packed, cells)
    assert error.reason == "not-an-image"
    assert str(error).startswith("The field: ")


def test_a_field_that_ends_too_early_is_refused(store):
    assert _refusal(store, _packed(field=_FIELD[:-200]), 0).reason == "truncated"


@pytest.mark.parametrize(
    ("size", "reason"), [((60, 48), "wrong-field-size"), ((640, 480), "too-many-pixels")]
)
def test_a_field_of_another_size_than_announced_is_refused(store, size, reason):
    other = encode_field(cv2.resize(smooth_crops(1)[0], size))
    assert _refusal(store, _packed(field=other), 0).reason == reason


def test_a_missing_object_is_refused(store):
    with pytest.raises(PermanentError) as caught:
        read_field(store, _held(b"", 1))
    assert caught.value.reason == "object-missing"


def test_an_object_that_changed_is_refused(store):
    error = _refusal(store, _packed(b"x"), 1, object_sha256="0" * 64)
    assert error.reason == "object-changed"


def test_an_object_that_is_no_pack_is_refused(store):
    assert _refusal(store, b"garbage", 1).reason == "invalid-images"


def test_more_cells_than_crops_are_refused(store):
    assert _refusal(store, _packed(encode_crop(smooth_crops(1)[0])), 2).reason == "invalid-cells"


def test_a_crop_that_is_no_image_is_refused_by_its_number(store):
    error = _refusal(store, _packed(encode_crop(smooth_crops(1)[0]), b"no image"), 2)
    assert error.reason == "not-an-image"
    assert str(error).startswith("Crop 1: ")


def test_a_crop_that_is_damaged_inside_is_refused(store):
    crop = bytearray(encode_crop(smooth_crops(1)[0]))
    crop[len(crop) // 2] ^= 0xFF
    assert _refusal(store, _packed(bytes(crop)), 1).reason in {"undecodable", "truncated"}


def test_a_crop_of_another_size_is_refused(store):
    small = cv2.resize(smooth_crops(1)[0], (100, 50))
    error = _refusal(store, _packed(encode_crop(small)), 1)
    assert error.reason == "wrong-crop-size"
    assert "100x50" in str(error)


def test_no_memory_to_decode_in_is_trouble_that_passes(store, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(reading, "decode_image", exhausted)
    packed = _packed(encode_crop(smooth_crops(1)[0]))
    store.put("fields/one", packed)
    with pytest.raises(TransientError) as caught:
        read_field(store, _held(packed, 1))
    assert caught.value.reason == "out-of-memory"


def test_a_crop_that_would_decode_to_something_huge_is_refused_by_its_header(store):
    bomb = encode_crop(np.zeros((4000, 4000, 3), np.uint8))
    assert _refusal(store, _packed(bomb), 1).reason == "too-many-pixels"
