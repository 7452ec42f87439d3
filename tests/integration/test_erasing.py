"""A specimen is erased: nothing of it is left but that it was there."""

from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from factories import Factory, SlideMade
from hemaline_cloud import specimen_verbs as verbs
from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.erasures import erase_specimen
from hemaline_cloud.erasing import delete_erased_objects
from hemaline_cloud.label_verbs import export_labels
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import ApiSettings, IngestSettings
from hemaline_shared.errors import PermanentError, TransientError
from parts.api import anybody, api_settings, client, factory, person
from parts.people import as_person, logged_in
from parts.signing import sign_slide

__all__ = ["anybody", "api_settings", "client", "factory", "person"]

WHY = "the patient asks for it"
WHO = operator("ada")
KEPT = {"audit_events", "erased_slides", "object_deletions", "legal_holds", "outbox"}


def objects_of(factory: Factory, slide: SlideMade) -> list[str]:
    with unit_of_work(factory.engine) as connection:
        query = "select object_key from fields where frame_id = any (:frames)"
        return list(connection.scalars(text(query), {"frames": slide.frames}))


@pytest.fixture
def settings(api_settings: ApiSettings) -> IngestSettings:
    """Of the commands, on what the API works with."""
    return IngestSettings(
        database_url=SecretStr(api_settings.database_url.get_secret_value()),
        objects=api_settings.objects,
    )


@pytest.fixture
def signed(client: TestClient, factory: Factory) -> SlideMade:
    """A slide on which everybody has left something."""
    slide = factory.slide(slide_name="LAB-77")
    factory.field(slide)
    factory.field_answers(slide.fields[0], {})
    factory.rejected(slide)
    factory.trained_result(slide)
    factory.order(slide, "24-00017")
    api = f"/api/v1/slides/{slide.slide_id}"
    assert client.post(f"{api}/comments", json={"text": "odd"}).status_code == 200
    assert client.post(f"{api}/requests", json={"reason": "few-cells"}).status_code == 200
    cell = next(iter(slide.labels))
    label = {"label": "blast"}
    version = {"If-Match": '"v0"'}
    assert client.put(f"/api/v1/cells/{cell}/label", json=label, headers=version).is_success
    grades = {"platelet_estimate": "normal"}
    assert client.put(f"{api}/morphology", json=grades, headers=version).is_success
    sign_slide(client, factory, slide)
    return slide


def erase(client: TestClient, slide: SlideMade):
    address = f"/api/v1/specimens/{slide.specimen_id}/erasure"
    return client.post(address, json={"reason": WHY})


def test_all_that_was_on_it_is_gone_and_that_it_was_there_is_kept(
    client: TestClient,
    factory: Factory,
    signed: SlideMade,
    settings: IngestSettings,
    tmp_path: Path,
):
    other = factory.slide()
    factory.field(other)
    factory.trained_result(other)
    sign_slide(client, factory, other)
    keys = objects_of(factory, signed)
    done = erase(client, signed)
    assert done.status_code == 200, done.text
    assert done.json() == {"specimen_id": str(signed.specimen_id), "slides": 1, "fields": 1}
    assert not any(factory.store.exists(key) for key in keys)
    assert all(factory.store.exists(key) for key in objects_of(factory, other))
    assert rows_of(factory, signed) == {}

    api = f"/api/v1/slides/{signed.slide_id}"
    for address in (api, f"{api}/result", f"{api}/report.pdf", f"{api}/comments"):
        told = client.get(address)
        assert (told.status_code, told.json()["reason"]) == (410, "erased"), address
    for address in (
        f"DiagnosticReport/{signed.slide_id}",
        f"Observation/{signed.slide_id}.differential",
        f"Provenance/{signed.slide_id}",
        f"Specimen/{signed.specimen_id}",
    ):
        told = client.get(f"/fhir/R4/{address}")
        assert told.status_code == 410, address
        assert told.json()["resourceType"] == "OperationOutcome"
    page = client.get(f"/slides/{signed.slide_id}", headers={"Accept": "text/html"})
    assert page.status_code == 410
    assert "This slide was erased" in page.text
    cell, field = next(iter(signed.labels)), signed.fields[0]
    assert_no_old_address_answers(client, signed, cell, field)
    listed = client.get("/api/v1/slides").json()["items"]
    assert [row["slide_id"] for row in listed] == [str(other.slide_id)]

    export_labels(settings, tmp_path / "labels", lambda _line: None)
    assert str(signed.specimen_id) not in str(list((tmp_path / "labels").rglob("*.png")))

    with unit_of_work(factory.engine) as connection:
        query = "select action, actor_name, detail from audit_events where subject_id = :id"
        (event,) = connection.execute(text(query), {"id": signed.specimen_id})
        hashes = connection.scalars(text("select sha256 from object_deletions")).all()
    assert tuple(event)[::2] == ("erase", WHY)
    assert len(hashes) == 1
    assert erase(client, signed).status_code == 404, "it is there no more"
    with pytest.raises(IntegrityError, match="was erased"):  # a device that sends again
        factory.slide(slide_id=signed.slide_id, specimen_id=signed.specimen_id)


def assert_no_old_address_answers(
    client: TestClient, slide: SlideMade, cell: UUID, field: UUID
) -> None:
    """What a bookmark, a report or another system may still name is refused in words."""
    for kind, name, parts in (
        ("cell", cell, ("", "/image", "/thumbnail", "/label")),
        ("field", field, ("", "/image")),
    ):
        for part in parts:
            told = client.get(f"/api/v1/{kind}s/{name}{part}")
            assert told.status_code == 404, part
            assert told.json()["detail"] == f"There is no {kind} {name}."
    for address in (f"cells/{cell}/heat-map.png", f"frames/{field}/thumbnail"):
        told = client.get(f"/api/v1/{address}")
        assert (told.status_code, "There is no" in told.json()["detail"]) == (404, True)
    for query in (f"field={field}", f"cell={cell}"):
        page = client.get(f"/slides/{slide.slide_id}?{query}", headers={"Accept": "text/html"})
        assert (page.status_code, "This slide was erased" in page.text) == (410, True)
    media = client.get(f"/fhir/R4/Media/{field}")
    assert (media.status_code, media.json()["resourceType"]) == (404, "OperationOutcome")
    of_it = f"/fhir/R4/Media?subject=Specimen/{slide.specimen_id}"
    assert client.get(of_it).json()["total"] == 0


def rows_of(factory: Factory, slide: SlideMade) -> dict[str, int]:
    """Return the tables that still name a part of a slide, by the ids that they hold."""
    ids = [slide.slide_id, *slide.frames, *slide.labels, *slide.orders, *slide.patients]
    found = {}
    with unit_of_work(factory.engine) as connection:
        columns = connection.execute(
            text(
                "select table_name, column_name from information_schema.columns"
                " where table_schema = 'public' and udt_name = 'uuid'"
            )
        ).all()
        for table, column in columns:
            query = text(f"select count(*) from {table} where {column} = any (:ids)")
            if table not in KEPT and (rows := connection.scalar(query, {"ids": ids})):
                found[table] = rows
    return found


def test_a_legal_hold_refuses_in_words_until_it_is_released(
    client: TestClient, factory: Factory, signed: SlideMade, settings: IngestSettings
):
    said: list[str] = []
    verbs.hold(settings, signed.specimen_id, "a court asks for it", said.append)
    told = erase(client, signed)
    assert (told.status_code, told.json()["reason"]) == (409, "legal-hold")
    assert "a court asks for it" in told.json()["detail"]
    with pytest.raises(PermanentError, match="court"):
        verbs.erase(settings, signed.specimen_id, WHY, said.append)
    assert client.get(f"/api/v1/slides/{signed.slide_id}").status_code == 200
    verbs.release(settings, signed.specimen_id, "the case is closed", said.append)
    with pytest.raises(PermanentError, match="Nobody holds"):
        verbs.release(settings, signed.specimen_id, "the case is closed", said.append)
    verbs.erase(settings, signed.specimen_id, WHY, said.append)
    assert said[2:4] == [
        f"Specimen {signed.specimen_id} is erased: 1 slides, 1 fields.",
        "1 objects are deleted.",
    ]


def test_what_a_kill_left_is_deleted_at_the_next_start(
    api_settings: ApiSettings, factory: Factory, client: TestClient, signed: SlideMade
):
    (key,) = objects_of(factory, signed)
    with unit_of_work(factory.engine) as connection:
        erase_specimen(connection, WHO, signed.specimen_id, WHY)
    assert factory.store.exists(key), "killed between the commit and the store"
    factory.store.delete(key)  # or after the store, before that was written down
    with TestClient(make_app(api_settings)):
        pass
    with unit_of_work(factory.engine) as connection:
        assert connection.scalars(text("select done_at is null from object_deletions")).all() == [
            False
        ]


def test_an_object_that_another_field_needs_stays(factory: Factory):
    slide, other = factory.slide(), factory.slide()
    factory.field(slide)
    factory.field(other)
    (key,) = objects_of(factory, slide)
    for made in (slide, other):
        factory.trained_result(made)
        factory.close_slide(made)
    with unit_of_work(factory.engine) as connection:
        connection.execute(text("update fields set object_key = :key"), {"key": key})
        erase_specimen(connection, WHO, slide.specimen_id, WHY)
    assert delete_erased_objects(factory.engine, factory.store) == 1
    assert factory.store.exists(key)


def test_a_specimen_of_which_more_may_come_is_refused(client: TestClient, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    told = erase(client, slide)
    assert (told.status_code, told.json()["reason"]) == (409, "slide-not-settled")


def test_only_administrators_of_the_site_erase(
    anybody: TestClient, database_url: str, factory: Factory
):
    slide = factory.slide()
    for who, status in (
        (logged_in(database_url, ("haematologist", "operator"), "north"), 403),
        (logged_in(database_url, ("admin",), "south"), 404),
    ):
        assert erase(as_person(anybody, who), slide).status_code == status
    without_reason = {"reason": " "}
    as_person(anybody, logged_in(database_url, ("admin",)))
    address = f"/api/v1/specimens/{slide.specimen_id}/erasure"
    assert anybody.post(address, json=without_reason).status_code == 422


def test_nobody_deletes_what_is_only_added_in_any_other_way(factory: Factory, signed: SlideMade):
    def delete() -> None:
        with unit_of_work(factory.engine) as connection:
            setting = "select set_config('hemaline.erasing', txid_current()::text, true)"
            connection.execute(text(setting))
            connection.execute(text("delete from cell_labels"))

    with pytest.raises((PermanentError, TransientError)):
        delete()
