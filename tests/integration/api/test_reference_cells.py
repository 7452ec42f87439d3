"""The reference gallery: what people of a site named and signed, and nothing else."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from factories import SITE, Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.schema import Slide

ADDRESS = f"/api/v1/sites/{SITE}/reference-cells"
HTML = {"Accept": "text/html"}


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    made = factory.slide(slide_name="LAB-77")
    factory.field(made)
    factory.trained_result(made, labels=("monocyte",))
    factory.order(made, "24-00017", name="Example, Erin")
    return made


def cells(client: TestClient, label: str = "basophil") -> list[dict[str, str]]:
    answer = client.get(ADDRESS, params={"label": label})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_a_cell_is_a_reference_once_its_slide_is_signed_by_peoples_word_alone(
    client: TestClient, factory: Factory, slide: SlideMade
):
    assert cells(client) == []
    cell = factory.signed_label(slide, "basophil")
    (found,) = cells(client)
    assert (found["cell_id"], found["label"]) == (str(cell), "basophil")
    assert client.get(found["image"]).headers["content-type"] == "image/png"
    assert cells(client, "monocyte") == [], "what the model says is no reference"
    page = client.get(f"/sites/{SITE}/references?label=basophil", headers=HTML).text
    assert "Basophil, named by tests" in page
    for told in (page, str(found)):  # nothing of whose blood it is, nothing of the model's
        for word in ("Erin", "24-00017", "LAB-77", str(slide.slide_id), "probabil"):
            assert word not in told, word


def test_a_name_that_nobody_stands_behind_now_is_no_reference(
    client: TestClient, factory: Factory, slide: SlideMade
):
    """So a second reader who is blind to the first one's names finds none of them here."""
    cell = factory.signed_label(slide, "basophil")
    for state in ("in-review", "awaiting-second-reader", "unfit", "signed"):
        with unit_of_work(factory.engine) as connection:
            whose = Slide.slide_id == slide.slide_id
            connection.execute(update(Slide).where(whose).values(review=state))
        assert bool(cells(client)) is (state == "signed"), state
    changed = client.put(
        f"/api/v1/cells/{cell}/label", json={"label": "blast"}, headers={"If-Match": '"v1"'}
    )
    assert changed.status_code == 200, changed.text
    assert cells(client) == cells(client, "blast") == [], "changed after the signature"


def test_a_class_that_nobody_has_signed_says_how_it_comes_here(client: TestClient):
    page = client.get(f"/sites/{SITE}/references?label=plasma-cell", headers=HTML)
    assert page.status_code == 200
    assert "No plasma cell has been named and signed here yet" in page.text
    assert client.get(f"/sites/{SITE}/references?label=nonsense", headers=HTML).status_code == 422


def test_more_than_a_page_of_them_is_read_on(client: TestClient, factory: Factory):
    made = []
    for _ in range(3):
        slide = factory.slide()
        factory.field(slide)
        factory.trained_result(slide)
        made.append(str(factory.signed_label(slide, "basophil")))
    first = client.get(ADDRESS, params={"label": "basophil", "limit": 2}).json()
    rest = client.get(
        ADDRESS, params={"label": "basophil", "limit": 2, "cursor": first["next"]}
    ).json()
    assert [one["cell_id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
