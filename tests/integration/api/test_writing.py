"""A change comes with its audit and its event, once, whatever is sent twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import service
from parts.postgres import as_owner


@pytest.fixture
def engine(database_url):
    engine = make_engine(as_owner(database_url), principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def query(engine):
    def ask(statement):
        with unit_of_work(engine) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    return ask


@pytest.fixture
def slide(factory):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    return made


def comment(client, slide, text="Auer rods.", key=None):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(
        f"/api/v1/slides/{slide.slide_id}/comments", json={"text": text}, headers=headers
    )


def test_a_change_its_audit_and_its_event_are_of_one_transaction(client, person, slide, query):
    answer = comment(client, slide)
    assert answer.status_code == 200
    ((transaction, *event),) = query(
        "select transaction, actor, action, subject, slide_id, site from audit_events"
        " where action = 'comment'"
    )
    assert event == [str(person.person_id), "comment", "comment", slide.slide_id, "north"]
    entries = query(f"select kind, subject_id, site from outbox where transaction = {transaction}")
    assert entries == [("slide", slide.slide_id, "north")]


def test_a_change_that_cannot_be_audited_is_not_made(client, slide, query, engine):
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("alter table audit_events rename to away")
    assert comment(client, slide).status_code == 503
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("alter table away rename to audit_events")
    assert query("select count(*) from comments") == [(0,)]


def test_the_same_change_under_the_same_key_is_made_once(client, slide, query):
    first, again = (comment(client, slide, key="k-1") for _ in range(2))
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert query("select count(*) from comments") == [(1,)]
    assert query("select count(*) from audit_events where action = 'comment'") == [(1,)]


def test_a_replay_of_a_label_bears_its_etag(client, slide):
    cell = client.get(f"/api/v1/slides/{slide.slide_id}/cells").json()["items"][0]["cell_id"]
    first, again = (
        client.put(
            f"/api/v1/cells/{cell}/label",
            json={"label": "blast"},
            headers={"If-Match": '"v0"', "Idempotency-Key": "k"},
        )
        for _ in range(2)
    )
    assert first.json() == again.json()
    assert first.headers["etag"] == again.headers["etag"] == '"v1"'


def test_the_same_key_with_another_change_is_refused(client, slide, query):
    comment(client, slide, key="k-1")
    other = comment(client, slide, "Faggot cells.", key="k-1")
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency-key-reused")
    assert query("select count(*) from comments") == [(1,)]


def test_the_same_change_sent_at_once_is_made_once(client, slide, query):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: comment(client, slide, key="k"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["comment_id"] for answer in answers}) == 1
    assert query("select count(*) from comments") == [(1,)]


def test_a_change_that_was_refused_may_be_sent_again_under_its_key(client, slide, factory):
    headers = {"Idempotency-Key": "k"}
    unknown = client.post(
        f"/api/v1/cells/{slide.slide_id}/comments", json={"text": "x"}, headers=headers
    )
    assert unknown.status_code == 404
    assert comment(client, slide, key="k").status_code == 200


def test_a_key_is_forgotten_after_a_day(client, slide, engine, query):
    comment(client, slide, key="k")
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("update idempotency_keys set at = at - interval '25 hours'")
    assert comment(client, slide, "Another one.", key="k").status_code == 200
    assert query("select count(*) from comments") == [(2,)]


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001, "a\0b"])
def test_a_comment_has_a_text_that_can_be_kept(client, slide, text):
    assert comment(client, slide, text).json()["reason"] == "invalid-request"


def test_comments_on_slide_field_and_cell_stand_together_with_their_writers(client, person, slide):
    cell = client.get(f"/api/v1/slides/{slide.slide_id}/cells").json()["items"][0]
    comment(client, slide, "the slide")
    client.post(f"/api/v1/fields/{cell['frame_id']}/comments", json={"text": "the field"})
    client.post(f"/api/v1/cells/{cell['cell_id']}/comments", json={"text": " the cell\n"})
    told = client.get(f"/api/v1/slides/{slide.slide_id}/comments").json()["comments"]
    assert [(row["text"], row["frame_id"], row["cell_id"]) for row in told] == [
        ("the slide", None, None),
        ("the field", cell["frame_id"], None),
        ("the cell", cell["frame_id"], cell["cell_id"]),
    ]
    assert {row["by_name"] for row in told} == {person.full_name}
    assert all(row["at"] for row in told)


def test_what_is_not_there_cannot_be_commented(client, slide):
    for kind in ("slides", "fields", "cells"):
        answer = client.post(
            f"/api/v1/{kind}/{slide.fields[0].hex[::-1]}/comments", json={"text": "x"}
        )
        assert answer.status_code == 404
    assert client.get(f"/api/v1/slides/{slide.fields[0]}/comments").status_code == 404
