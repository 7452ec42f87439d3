"""A person adds a white cell that the finder missed: it counts as theirs and outlives bundles."""

import cv2
import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.label_verbs import export_labels
from hemaline_cloud.principal import service
from hemaline_cloud.settings import IngestSettings
from parts.reviewing import Asks

PLACE = {"x": 70, "y": 70, "label": "monocyte"}


@pytest.fixture
def asks(client, factory, database_url):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    factory.close_slide(made)
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
    engine.dispose()
    return Asks(client, made)


@pytest.fixture
def add(client, asks):
    def send(**changes):
        address = f"/api/v1/fields/{asks.slide.fields[0]}/added-cells"
        return client.post(address, json=PLACE | changes)

    return send


def test_an_added_cell_counts_by_the_reader_and_is_told_as_added_by_hand(
    client, asks, add, factory, api_settings, tmp_path
):
    found = len(asks.slide.labels)
    added = add().json()
    assert (added["right"] - added["left"], added["label"]) == (108, "monocyte")  # 13 µm
    read = asks.read()
    assert read["read_so_far"]["named"] == 1
    assert sum(share["cells"] for share in read["read_so_far"]["differential"]) == found + 1
    page = client.get(f"/slides/{asks.slide.slide_id}").text
    assert 'class="box added class-monocyte"' in page
    assert "With 1 cell added by hand." in page
    factory.newer_result(asks.slide, cells=99)
    assert asks.read()["read_so_far"]["named"] == 1
    wanted = [cell["cell_id"] for cell in asks.read()["to_see"]]
    asks.see(wanted, asks.slide.fields[:1], revision=2)
    signed = asks.sign(revision=2)
    assert signed.status_code == 200, signed.text
    report = asks.report(signed.json()).json()
    assert sum(report["cells_by_reader"].values()) == found + 1
    assert sum(report["cells_by_model"].values()) == found
    assert report["added"][0]["added_cell_id"] == added["added_cell_id"]
    assert asks.paper().status_code == 200
    settings = IngestSettings(
        database_url=api_settings.database_url, objects=api_settings.objects.model_copy()
    )
    export_labels(settings, tmp_path / "set", print)
    name = f"{asks.slide.specimen_id}_{added['added_cell_id']}.png"
    crop = cv2.imread(str(tmp_path / "set" / "monocyte" / name))
    assert crop.shape == (224, 224, 3)


def test_what_is_taken_back_counts_no_longer_and_only_once(client, asks, add):
    added = add().json()["added_cell_id"]
    address = f"/api/v1/slides/{asks.slide.slide_id}/added-cells"
    assert len(client.get(address).json()["added"]) == 1
    assert client.delete(f"{address}/{added}").status_code == 200
    assert client.get(address).json()["added"] == []
    assert client.delete(f"{address}/{added}").status_code == 404
    assert asks.read()["read_so_far"]["named"] == 0
    actions = [
        event["action"]
        for event in client.get(f"/api/v1/slides/{asks.slide.slide_id}/timeline").json()["items"]
    ]
    assert actions[:2] == ["take-back-cell", "add-cell"]


@pytest.mark.parametrize(
    ("place", "status", "reason"),
    [
        ({"x": 10}, 409, "cut-by-border"),
        ({"x": 10**6}, 409, "outside-the-field"),
        ({"label": "cell"}, 422, "invalid-request"),
    ],
)
def test_a_place_that_no_counted_cell_can_have_is_refused(add, place, status, reason):
    refused = add(**place)
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)


def test_a_cell_is_not_added_where_one_is_known(client, asks, add):
    field = client.get(f"/api/v1/fields/{asks.slide.fields[0]}").json()
    box = field["found"][0]["box"]
    middle = {"x": (box["left"] + box["right"]) // 2, "y": (box["top"] + box["bottom"]) // 2}
    assert add(**middle).json()["reason"] == "found-already"
    assert add().status_code == 200
    assert add(x=72).json()["reason"] == "found-already"
