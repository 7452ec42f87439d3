"""What verifying refuses before, and without, any server."""

from datetime import UTC, datetime, timedelta

import cbor2
import cv2
import pytest

from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.items import Accepted, Delivery, Refused
from hemaline_cloud.ingest.uploads import Uploads
from hemaline_cloud.ingest.verify import is_possible_time, verify_field
from hemaline_cloud.objects.directory import DirectoryStore
from hemaline_cloud.settings import DirectoryObjects, IngestSettings
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import Inbound
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.encode import encode_crop
from hemaline_shared.topics import Channel
from parts.captures import HEIGHT, SCOPE, WIDTH, Slide, attach, cell, images, picture


@pytest.fixture
def intake(tmp_path):
    objects = DirectoryObjects(path=tmp_path / "objects")
    settings = IngestSettings(database_url="postgresql://127.0.0.1:1/none", objects=objects)
    store = DirectoryStore(objects)
    return Intake(settings, None, store, Uploads(settings, store))


FIELD_TOPIC = SCOPE.topic(Channel.FIELD)


def delivery(payload, topic=FIELD_TOPIC):
    return Delivery(Inbound(topic, payload, 1, 1, 1, None), datetime.now(UTC))


@pytest.mark.parametrize("topic", ["other/v1/a/b/field", "hemaline/v1/lab/scope-1/receipt", "x"])
def test_a_topic_that_devices_do_not_use_is_unknown(intake, topic):
    item = intake.take(delivery(encode(Slide().field()), topic))
    assert isinstance(item, Refused)
    assert item.reason == "unknown-topic"


def test_a_check_that_fails_unforeseen_refuses_one_message(intake, monkeypatch):
    def explode(*_):
        raise ArithmeticError

    monkeypatch.setattr("hemaline_cloud.ingest.intake.verify_field", explode)
    item = intake.take(delivery(encode(Slide().field())))
    assert (item.reason, item.detail) == ("unexpected", "ArithmeticError while it was verified")
    assert item.frame is not None


def test_too_little_memory_is_trouble_that_passes(intake, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("hemaline_cloud.ingest.intake.verify_field", exhausted)
    with pytest.raises(TransientError):
        intake.take(delivery(encode(Slide().field())))


def test_an_uppercase_device_in_a_broken_message_is_not_trusted(intake):
    content = cbor2.loads(encode(Slide().field()))
    item = intake.take(delivery(cbor2.dumps({**content, "device": "Scope 1"})))
    assert item.reason == "invalid-message"
    assert item.frame is None


def test_a_field_may_be_a_png():
    packed = pack(FieldImages(encode_crop(picture(WIDTH, HEIGHT)), images().crops))
    verify_field(Slide().field(images=attach(packed)), packed)


def test_what_is_neither_jpeg_nor_png_is_refused_by_its_kind():
    _, webp = cv2.imencode(".webp", picture(WIDTH, HEIGHT))
    packed = pack(FieldImages(webp.tobytes(), images().crops))
    with pytest.raises(PermanentError, match="image/webp") as caught:
        verify_field(Slide().field(images=attach(packed)), packed)
    assert caught.value.reason == "unsupported-format"


def test_no_pixel_is_decoded_before_the_receipt(monkeypatch):
    def decode(*_):
        raise AssertionError("a decoder was called")

    for decoder in ("simplejpeg.decode_jpeg", "cv2.imdecode", "PIL.Image.Image.load"):
        monkeypatch.setattr(decoder, decode)
    field = Slide().field()
    verify_field(field, field.images.inline)


def test_a_jpeg_of_noise_after_its_header_does_not_pass_for_a_shorter_one():
    good = images()
    broken = good.field[: good.field.index(b"\xff\xda")] + b"\xff\xd9"
    packed = pack(FieldImages(broken, good.crops))
    with pytest.raises(PermanentError) as caught:
        verify_field(Slide().field(images=attach(packed)), packed)
    assert caught.value.reason in {"truncated", "undecodable"}


def test_a_good_field_is_accepted(intake):
    assert isinstance(intake.take(delivery(encode(Slide().field()))), Accepted)


def refused(field, packed=None):
    with pytest.raises(PermanentError) as caught:
        verify_field(field, field.images.inline if packed is None else packed)
    return caught.value


def test_times_are_possible_from_1970_until_before_2200():
    first, end = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
    instant = timedelta(microseconds=1)
    at = (first - instant, first, end - instant, end)
    assert [is_possible_time(moment) for moment in at] == [False, True, True, False]


@pytest.mark.parametrize("bytes_more", [-1, 1])
def test_other_bytes_than_announced_are_refused(bytes_more):
    field = Slide().field()
    size = field.images.size + bytes_more
    announced = field.model_copy(update={"images": field.images.model_copy(update={"size": size})})
    assert refused(announced).reason == "wrong-size"


@pytest.mark.parametrize("sha256", ["0" * 64, "f" * 64])
def test_bytes_of_another_hash_than_announced_are_refused(sha256):
    field = Slide().field()
    other = field.images.model_copy(update={"sha256": sha256})
    assert refused(field.model_copy(update={"images": other})).reason == "wrong-hash"


def test_a_picture_of_another_size_is_refused_with_both_sizes():
    said = str(refused(Slide().field(width=WIDTH + 1)))
    assert f"{WIDTH}x{HEIGHT} pixels where {WIDTH + 1}x{HEIGHT} were announced" in said


@pytest.mark.parametrize("indices", [(1, 0), (0, 0), (0, 2), (1, 2)])
def test_cells_that_are_not_numbered_in_order_are_refused(indices):
    cells = tuple(cell(index) for index in indices)
    assert refused(Slide().field(cells=cells)).reason == "invalid-cells"


def box(left, top, right, bottom):
    sides = {"left": left, "top": top, "right": right, "bottom": bottom}
    return (cell(0).model_copy(update=sides), cell(1))


@pytest.mark.parametrize(
    "sides", [(0, 0, 1, 1), (0, 0, WIDTH, HEIGHT), (WIDTH - 1, HEIGHT - 1, WIDTH, HEIGHT)]
)
def test_a_cell_may_reach_to_the_borders_of_the_field(sides):
    field = Slide().field().model_copy(update={"cells": box(*sides)})
    verify_field(field, field.images.inline)


@pytest.mark.parametrize(
    "sides",
    [
        (-1, 0, 9, 9),
        (0, -1, 9, 9),
        (0, 0, WIDTH + 1, 9),
        (0, 0, 9, HEIGHT + 1),
        (9, 0, 9, 9),
        (0, 9, 9, 9),
        (9, 0, 8, 9),
        (0, 9, 9, 8),
    ],
)
def test_a_cell_that_leaves_the_field_or_has_no_pixel_is_refused(sides):
    field = Slide().field().model_copy(update={"cells": box(*sides)})
    assert refused(field).reason == "invalid-cells"
