"""Fields, cells and their images."""

import io
import shutil
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from drawn_fields import draw_field
from factories import Factory
from hemaline_cloud.database.reading.fields import field_images
from hemaline_cloud.settings import ApiSettings
from hemaline_shared.ids import cell_id
from hemaline_shared.pixels.decode import decode_image


def _object_of(factory: Factory, frame_id) -> str:
    with factory.engine.connect() as connection:
        stored = field_images(connection, frame_id)
    assert stored
    return stored.key


def test_a_field_comes_with_its_cells(client, factory: Factory):
    slide = factory.slide()
    drawn = draw_field(cells=2)
    frame_id = factory.field(slide, drawn)
    factory.trained_result(slide)
    shown = client.get(f"/api/v1/fields/{frame_id}").json()
    assert (shown["width"], shown["height"], shown["cells"]) == (640, 480, 2)
    assert (shown["scale_source"], shown["measures"]) == ("red-cells", {"focus": 180.5})
    boxes = [tuple(cell["box"].values()) for cell in shown["found"]]
    assert boxes == [(b.left, b.top, b.right, b.bottom) for b in drawn.boxes]
    assert shown["found"][0]["label"] == "blast"


def test_a_cell_tells_what_the_model_said_of_it(client, factory: Factory):
    slide = factory.slide()
    frame_id = factory.field(slide)
    factory.trained_result(slide)
    shown = client.get(f"/api/v1/cells/{cell_id(frame_id, 1)}").json()
    assert (shown["index"], shown["label"], shown["slide_id"]) == (
        1,
        "neutrophil",
        str(slide.slide_id),
    )
    assert shown["probabilities"]["cell-class"]["average"]["neutrophil"] == shown["probability"]


def test_images_are_the_very_bytes_that_were_stored(client, factory: Factory):
    drawn = draw_field(cells=3)
    frame_id = factory.field(factory.slide(), drawn)
    image = client.get(f"/api/v1/fields/{frame_id}/image")
    assert (image.content, image.headers["content-type"]) == (drawn.images.field, "image/jpeg")
    for index, crop in enumerate(drawn.images.crops):
        answer = client.get(f"/api/v1/cells/{cell_id(frame_id, index)}/image")
        assert (answer.content, answer.headers["content-type"]) == (crop, "image/png")


def test_a_known_image_is_not_sent_again(client, factory: Factory):
    slide = factory.slide()
    frame_id = factory.field(slide)
    addresses = [
        f"/api/v1/fields/{frame_id}/image",
        f"/api/v1/cells/{cell_id(frame_id, 0)}/image",
        f"/api/v1/cells/{cell_id(frame_id, 1)}/image",
        f"/api/v1/frames/{frame_id}/thumbnail",
        f"/api/v1/frames/{factory.rejected(slide)}/thumbnail",
    ]
    etags = set()
    for address in addresses:
        first = client.get(address)
        assert first.headers["cache-control"] == "no-store"
        etags.add(first.headers["etag"])
        known = {"If-None-Match": f'"another", W/{first.headers["etag"]}'}
        again = client.get(address, headers=known)
        assert (again.status_code, again.content) == (304, b"")
    assert len(etags) == len(addresses)


def test_a_heat_map_is_laid_over_the_crop_and_transparent_where_nothing_speaks(
    client, factory: Factory
):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 0)
    factory.trained_result(slide)
    shown = client.get(f"/api/v1/cells/{cell}").json()["heat_map"]
    assert (shown["label"], shown["columns"], shown["rows"]) == ("blast", 4, 4)
    answer = client.get(shown["image"])
    assert answer.headers["content-type"] == "image/png"
    drawn = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert drawn.shape == (224, 224, 4)
    alpha = drawn[:, :, 3].astype(int)
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert 60 < row < 112 < column < 164, "the strongest square is the third of the second row"
    assert alpha.max() < 200, "the cell stays visible below"
    assert alpha[200, 10] < 8


def test_a_heat_map_is_asked_for_again_because_a_later_model_may_see_it_otherwise(
    client, factory: Factory
):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 0)
    factory.trained_result(slide)
    first = client.get(f"/api/v1/cells/{cell}/heat-map.png")
    assert first.headers["cache-control"] == "no-store"
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get(f"/api/v1/cells/{cell}/heat-map.png", headers=known)
    assert (again.status_code, again.content) == (304, b"")


def test_a_cell_without_a_heat_map_says_so(client, factory: Factory):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 0)
    factory.untrained_result(slide)
    waiting = cell_id(factory.field(slide), 0)
    for without in (cell, waiting, uuid4()):
        answer = client.get(f"/api/v1/cells/{without}/heat-map.png")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    for known in (cell, waiting):
        assert client.get(f"/api/v1/cells/{known}").json()["heat_map"] is None


def test_a_field_tells_what_was_said_of_itself(client, factory: Factory):
    slide = factory.slide()
    asked, unasked = factory.field(slide), factory.field(slide)
    factory.trained_result(slide)
    shares = {"benign": 0.7, "early-pre-b": 0.2, "pre-b": 0.1, "pro-b": 0.0}
    factory.field_answers(asked, {"all-subtype": {"resnet34": shares, "densenet121": shares}})
    answered = client.get(f"/api/v1/fields/{asked}").json()["probabilities"]["all-subtype"]
    assert answered == dict.fromkeys(("resnet34", "densenet121", "average"), shares)
    assert client.get(f"/api/v1/fields/{unasked}").json()["probabilities"] is None


def test_a_cell_that_is_not_certain_enough_tells_what_it_would_be(client, factory: Factory):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 0)
    factory.trained_result(slide)
    factory.change_cell(cell, label="unclassified", disagreement=0.4)
    shown = client.get(f"/api/v1/cells/{cell}").json()
    assert (shown["label"], shown["likeliest"]) == ("unclassified", "blast")
    assert shown["task"] == "cell-class"
    assert shown["certainty"] == pytest.approx(shown["probability"] * 0.6)


def test_a_rejected_frames_thumbnail_is_what_the_device_sent(client, factory: Factory):
    frame_id = factory.rejected(factory.slide())
    answer = client.get(f"/api/v1/frames/{frame_id}/thumbnail")
    assert decode_image(answer.content).shape == (192, 256, 3)


def test_an_accepted_frames_thumbnail_is_its_field_made_small(client, factory: Factory):
    frame_id = factory.field(factory.slide())
    answer = client.get(f"/api/v1/frames/{frame_id}/thumbnail")
    assert decode_image(answer.content).shape == (192, 256, 3)


def test_frames_without_pixels_have_no_image(client, factory: Factory):
    slide = factory.slide()
    quarantined, rejected = factory.quarantined(slide), factory.rejected(slide)
    for address in (
        f"/api/v1/frames/{quarantined}/thumbnail",
        f"/api/v1/fields/{rejected}",
        f"/api/v1/fields/{rejected}/image",
        f"/api/v1/cells/{uuid4()}",
        f"/api/v1/cells/{uuid4()}/image",
    ):
        answer = client.get(address)
        assert answer.status_code == 404, address
        assert answer.headers["content-type"] == "application/problem+json"


def test_an_object_that_changed_on_disk_is_never_shown(
    client, factory: Factory, api_settings: ApiSettings
):
    frame_id = factory.field(factory.slide())
    path = Path(api_settings.objects.path, _object_of(factory, frame_id))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    answer = client.get(f"/api/v1/fields/{frame_id}/image")
    assert (answer.status_code, answer.json()["reason"]) == (500, "object-corrupt")


def test_an_object_that_is_gone_is_a_problem_that_says_so(
    client, factory: Factory, api_settings: ApiSettings
):
    frame_id = factory.field(factory.slide())
    Path(api_settings.objects.path, _object_of(factory, frame_id)).unlink()
    answer = client.get(f"/api/v1/fields/{frame_id}/image")
    assert (answer.status_code, answer.json()["reason"]) == (500, "object-missing")


@pytest.mark.parametrize("kind", ["fields", "cells", "slides"])
def test_a_malformed_id_is_a_problem_that_names_it(client: TestClient, kind: str):
    answer = client.get(f"/api/v1/{kind}/not-an-id")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["where"].startswith("path.")


def test_an_object_store_that_is_away_is_a_passing_problem(
    client, factory: Factory, api_settings: ApiSettings
):
    frame_id = factory.field(factory.slide())
    root = Path(api_settings.objects.path)
    shutil.move(root, root.with_name("unplugged"))
    answer = client.get(f"/api/v1/fields/{frame_id}/image")
    assert (answer.status_code, answer.json()["reason"]) == (503, "object-store-unavailable")
    assert answer.headers["retry-after"] == "2"
    assert str(root) not in answer.text
    assert client.get("/readyz").status_code == 503
    shutil.move(root.with_name("unplugged"), root)
    assert client.get(f"/api/v1/fields/{frame_id}/image").status_code == 200


@pytest.mark.parametrize("px", [96, 192])
def test_a_cells_thumbnail_is_small_and_never_sent_twice(client, factory: Factory, px: int):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 1)
    address = f"/api/v1/cells/{cell}/thumbnail?px={px}"
    answer = client.get(address)
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("WEBP", (px, px))
    assert len(answer.content) < len(client.get(f"/api/v1/cells/{cell}/image").content) / 3
    assert answer.headers["cache-control"] == "no-store"
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get(address, headers=known).status_code == 304


def test_a_thumbnail_shows_the_cell_that_it_is_of(client, factory: Factory):
    slide = factory.slide()
    drawn = draw_field()
    cell = cell_id(factory.field(slide, drawn), 1)
    with Image.open(io.BytesIO(client.get(f"/api/v1/cells/{cell}/thumbnail").content)) as image:
        shown = np.asarray(image.convert("RGB"), np.float64)
    with Image.open(io.BytesIO(drawn.images.crops[1])) as image:
        crop = np.asarray(image.convert("RGB").resize((96, 96), Image.Resampling.BOX), np.float64)
    assert np.abs(shown - crop).mean() < 4


@pytest.mark.parametrize("part", ["/thumbnail", "/thumbnail?px=4000"])
def test_there_is_no_thumbnail_of_a_cell_that_is_unknown_or_of_any_size(client, part: str):
    assert client.get(f"/api/v1/cells/{uuid4()}{part}").status_code in {404, 422}


def test_a_cell_says_whether_it_counts_and_why_not(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide, draw_field(cells=3))
    factory.trained_result(slide)
    first, cut, again = slide.labels
    factory.exclude(cut, "cut-by-border")
    factory.exclude(again, "seen-before", same_as=first)
    told = {cell: client.get(f"/api/v1/cells/{cell}").json() for cell in (first, cut, again)}
    parts = ("counted", "excluded", "same_as")
    assert [tuple(told[cell][part] for part in parts) for cell in (first, cut, again)] == [
        (True, None, None),
        (False, "cut-by-border", None),
        (False, "seen-before", str(first)),
    ]
