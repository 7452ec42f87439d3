"""The list of slides and one slide: states, counts, order, pages, results."""

import base64
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from drawn_fields import draw_field
from factories import OPENED, Factory
from hemaline_shared.ids import accession, cell_id

SLIDES = "/api/v1/slides"


def everything(client: TestClient, address: str, **params: str | int) -> list[dict]:
    items, cursor = [], None
    while True:
        page = client.get(
            address, params={**params, **({"cursor": cursor} if cursor else {})}
        ).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_a_slide_is_receiving_until_the_device_has_closed_it(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["state"] == "receiving"


def test_a_closed_slide_is_receiving_while_frames_are_on_their_way(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    factory.close_slide(slide, frames=2)
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["state"] == "receiving"


def test_a_slide_is_processing_while_a_frame_is_pending(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.rejected(slide)
    factory.close_slide(slide)
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["state"] == "processing"


def test_a_slide_is_complete_when_every_frame_is_settled(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    factory.rejected(slide)
    factory.quarantined(slide)
    factory.close_slide(slide)
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["state"] == "complete"


def test_a_slide_whose_frames_were_all_rejected_is_complete_without_a_result(
    client, factory: Factory
):
    slide = factory.slide()
    factory.rejected(slide)
    factory.close_slide(slide)
    shown = client.get(f"{SLIDES}/{slide.slide_id}").json()
    assert shown["state"] == "complete"
    assert shown["trained"] is None
    assert [flag["code"] for flag in shown["flags"]] == ["many-rejected"]


def test_a_slide_without_frames_is_complete_once_it_is_closed(client, factory: Factory):
    slide = factory.slide()
    factory.close_slide(slide)
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["state"] == "complete"


def test_the_list_carries_counts_cells_and_what_made_them(client, factory: Factory):
    slide = factory.slide(simulated=True)
    for cells in (3, 2):
        factory.field(slide, draw_field(cells=cells))
    factory.untrained_result(slide, revision=2)
    factory.field(slide)
    factory.rejected(slide)
    factory.quarantined(slide)
    (shown,) = client.get(SLIDES).json()["items"]
    assert shown["accession"] == accession(slide.slide_id)
    assert shown["counts"] == {
        "captured": 5,
        "pending": 1,
        "with_result": 2,
        "rejected": 1,
        "quarantined": 1,
    }
    assert (shown["cells"], shown["cells_by_class"]) == (5, {"unclassified": 5})
    assert (shown["trained"], shown["bundle_id"], shown["revision"]) == (False, "untrained-1", 2)
    assert shown["simulated"] is True
    assert {flag["code"] for flag in shown["flags"]} == {"untrained-model", "fields-quarantined"}


def test_the_list_goes_from_the_newest_to_the_oldest(client, factory: Factory):
    made = [factory.slide(opened_at=OPENED + timedelta(hours=hour)) for hour in (1, 3, 2)]
    listed = [item["slide_id"] for item in client.get(SLIDES).json()["items"]]
    assert listed == [str(made[place].slide_id) for place in (1, 2, 0)]


def test_the_worklist_puts_the_most_urgent_slides_first(client, factory: Factory):
    ids = []
    for hour, urgency in enumerate((3, 0, 1)):
        slide = factory.slide(opened_at=OPENED + timedelta(hours=hour))
        factory.field(slide)
        factory.trained_result(slide, urgency=urgency)
        ids.append(str(slide.slide_id))
    waiting = factory.slide(opened_at=OPENED + timedelta(hours=9))
    listed = everything(client, SLIDES, order="worklist", limit=1)
    expected = [ids[0], ids[2], str(waiting.slide_id), ids[1]]
    assert [item["slide_id"] for item in listed] == expected


@pytest.mark.parametrize("state", ["receiving", "processing", "complete"])
@pytest.mark.parametrize("order", ["newest", "worklist"])
def test_the_list_can_show_one_state_alone(client, factory: Factory, state: str, order: str):
    receiving = factory.slide()
    factory.field(receiving)
    processing = factory.slide()
    factory.field(processing)
    factory.close_slide(processing)
    complete = factory.slide()
    factory.rejected(complete)
    factory.close_slide(complete)
    expected = {"receiving": receiving, "processing": processing, "complete": complete}[state]
    listed = client.get(SLIDES, params={"state": state, "order": order}).json()["items"]
    assert [item["slide_id"] for item in listed] == [str(expected.slide_id)]


@pytest.mark.parametrize("order", ["newest", "worklist"])
def test_slides_that_arrive_while_a_reader_pages_neither_repeat_nor_hide_others(
    client, factory: Factory, order: str
):
    before = {
        str(factory.slide(opened_at=OPENED + timedelta(minutes=n // 2)).slide_id)
        for n in range(7)  # pairs share their time: the id decides between them
    }
    first = client.get(SLIDES, params={"limit": 3, "order": order}).json()
    factory.slide(opened_at=OPENED + timedelta(hours=5))
    factory.slide(opened_at=OPENED - timedelta(hours=5))
    rest = everything(client, SLIDES, limit=2, order=order, cursor=first["next"])
    seen = [item["slide_id"] for item in first["items"] + rest]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_a_page_that_ends_exactly_at_the_last_slide_has_no_next(client, factory: Factory):
    for _ in range(2):
        factory.slide()
    assert client.get(SLIDES, params={"limit": 2}).json()["next"] is None


def test_a_longer_list_takes_no_more_queries(client: TestClient, factory: Factory):
    statements: list[str] = []
    asked = ("FROM slides", "FROM cell_labels", "INSERT INTO audit_events")
    engine = client.app.state.context.writing_engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def queries() -> int:
        statements.clear()
        assert client.get(SLIDES).status_code == 200
        return sum(any(table in said for table in asked) for said in statements)

    factory.slide()
    for_one = queries()
    for _ in range(5):
        slide = factory.slide()
        factory.field(slide)
        factory.untrained_result(slide)
    assert queries() == for_one == 3


def test_a_result_is_missing_until_there_is_one(client, factory: Factory):
    slide = factory.slide()
    answer = client.get(f"{SLIDES}/{slide.slide_id}/result")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown-result")


def test_a_result_names_what_made_it(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    result = client.get(f"{SLIDES}/{slide.slide_id}/result").json()
    assert result["bundle"] == {"bundle_id": "cells-1", "sha256": "1" * 64, "trained": True}
    assert result["summary"]["made_by"]["pixel_pipelines"] == ["1"]
    assert sum(share["cells"] for share in result["summary"]["differential"]) == 3


def test_a_known_result_is_not_sent_again_until_its_revision_changes(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    address = f"{SLIDES}/{slide.slide_id}/result"
    first = client.get(address)
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get(address, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    factory.newer_result(slide, fields=2)
    newer = client.get(address, headers=known)
    assert (newer.status_code, newer.headers["etag"]) == (200, '"2"')


def test_revisions_that_are_kept_are_listed_and_each_is_read_by_its_number(
    client, factory: Factory
):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    for fields in (2, 3):
        factory.newer_result(slide, fields=fields)
    address = f"{SLIDES}/{slide.slide_id}/revisions"
    listed = everything(client, address, limit=2)
    assert [(one["revision"], one["reason"], one["current"]) for one in listed] == [
        (3, "recount", True),
        (2, "recount", False),
        (1, "new-frames", False),
    ]
    second = client.get(f"{address}/2")
    assert (second.json()["summary"]["fields"], second.headers["etag"]) == (2, '"2"')
    assert client.get(f"{SLIDES}/{slide.slide_id}").json()["revision"] == 3
    again = client.get(f"{address}/2", headers={"If-None-Match": '"2"'})
    assert again.status_code == 304
    for absent in (f"{address}/9", f"{SLIDES}/{uuid4()}/revisions"):
        assert client.get(absent).status_code == 404


def test_a_slides_fields_come_in_the_order_of_capture(client, factory: Factory):
    slide, other = factory.slide(), factory.slide()
    made = [str(factory.field(slide)) for _ in range(5)]
    factory.field(other)
    factory.rejected(slide)
    listed = everything(client, f"{SLIDES}/{slide.slide_id}/fields", limit=2)
    assert [item["frame_id"] for item in listed] == made


def test_cells_come_with_the_least_certain_first_and_none_twice(client, factory: Factory):
    slide = factory.slide()
    for _ in range(3):
        factory.field(slide)
    factory.trained_result(slide)
    factory.field(slide)  # waits for the model: nothing is known of its cells yet
    listed = everything(client, f"{SLIDES}/{slide.slide_id}/cells", limit=4)
    certainties = [item["certainty"] for item in listed]
    assert certainties == sorted(certainties)
    assert len({item["cell_id"] for item in listed}) == 12
    assert [item["label"] for item in listed[-3:]] == [None] * 3, "they wait: they are not doubtful"


def test_cells_can_be_filtered_by_their_label(client, factory: Factory):
    slide = factory.slide()
    for _ in range(3):
        factory.field(slide)
    factory.trained_result(slide)
    address = f"{SLIDES}/{slide.slide_id}/cells"
    listed = client.get(address, params={"label": "blast"}).json()["items"]
    assert [item["label"] for item in listed] == ["blast", "blast"]
    assert client.get(address, params={"label": "no-such"}).json()["items"] == []


def test_a_cell_carries_what_the_bundle_said_that_judged_its_field(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    factory.predict_besides(slide, "monocyte")
    listed = client.get(f"{SLIDES}/{slide.slide_id}/cells").json()["items"]
    assert [item["label"] for item in listed] == ["unclassified"] * 3


def test_a_field_that_a_worker_quarantined_is_no_part_of_its_slide(client, factory: Factory):
    slide = factory.slide()
    kept, spoilt = factory.field(slide), factory.field(slide)
    factory.quarantine_stored(spoilt, "object-changed")
    for part in ("cells", "fields"):
        listed = client.get(f"{SLIDES}/{slide.slide_id}/{part}").json()["items"]
        assert {item["frame_id"] for item in listed} == {str(kept)}
    assert client.get(f"/api/v1/fields/{spoilt}").json()["state"] == "quarantined"
    (line,) = client.get("/api/v1/frames", params={"state": "quarantined"}).json()["items"]
    assert line["thumbnail"]


def test_an_untrained_bundles_cells_carry_no_number_that_looks_learned(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    for cell in client.get(f"{SLIDES}/{slide.slide_id}/cells").json()["items"]:
        assert (cell["label"], cell["probability"], cell["probabilities"]) == (
            "unclassified",
            None,
            None,
        )


@pytest.mark.parametrize("part", ["", "/fields", "/cells", "/result"])
def test_an_unknown_slide_is_a_problem(client, factory: Factory, part: str):
    answer = client.get(f"{SLIDES}/{uuid4()}{part}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "unknown-slide"


@pytest.mark.parametrize("cursor", ["garbage", "%%%", "W10", "bnVsbA", "WzEsMl0", "é"])
def test_a_garbage_cursor_is_a_problem(client, cursor: str):
    answer = client.get(SLIDES, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid-cursor")


def _cursor(key: list[float]) -> str:
    text = json.dumps([*key, str(UUID(int=7))])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "part",
    ["?label=a%00b", f"?cursor={_cursor([0.5, 2**40, 0])}", f"?cursor={_cursor([0.5, 0, 10**30])}"],
)
def test_what_no_column_can_hold_is_the_readers_mistake(client, factory: Factory, part: str):
    slide = factory.slide()
    answer = client.get(f"/api/v1/slides/{slide.slide_id}/cells{part}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-request")


def test_a_cursor_of_another_list_is_a_problem(client, factory: Factory):
    slide = factory.slide()
    for _ in range(2):
        factory.field(slide)
    address = f"{SLIDES}/{slide.slide_id}/fields"
    cursor = client.get(address, params={"limit": 1}).json()["next"]
    assert client.get(SLIDES, params={"cursor": cursor}).status_code == 400


def test_cells_over_which_the_networks_disagree_come_earlier(client, factory: Factory):
    slide = factory.slide()
    frame_id = factory.field(slide, draw_field(cells=4))
    factory.trained_result(slide)
    torn = cell_id(frame_id, 3)
    factory.change_cell(torn, disagreement=0.5)
    shown = everything(client, f"{SLIDES}/{slide.slide_id}/cells", limit=1)
    assert [cell["index"] for cell in shown] == [3, 0, 1, 2]
    assert shown[0]["disagreement"] == 0.5


def test_a_result_tells_of_apl_and_of_subtypes_and_an_older_one_of_neither(
    client, factory: Factory
):
    apl = {"cells": 12, "probability": 0.7, "low": 0.6, "high": 0.8}
    subtype = {"fields": 3, "shares": [{"label": "pre-b", "probability": 1.0}]}
    for said in ({"apl": apl, "all_subtype": subtype}, {}):
        slide = factory.slide()
        factory.field(slide)
        factory.trained_result(slide, **said)
        summary = client.get(f"{SLIDES}/{slide.slide_id}/result").json()["summary"]
        assert summary["apl"] == said.get("apl")
        assert summary["all_subtype"] == said.get("all_subtype")


def _called(client: TestClient, words: str, **params: str | int) -> list[str]:
    return [item["slide_name"] for item in everything(client, SLIDES, q=words, **params)]


def test_slides_are_found_by_the_start_or_end_of_their_name(client, factory: Factory):
    for name in ("LAB-2026-0418", "LAB-2026-0419", "lab-2025-0418", None):
        factory.slide(slide_name=name)
    assert sorted(_called(client, "lab-2026")) == ["LAB-2026-0418", "LAB-2026-0419"]
    assert sorted(_called(client, "0418")) == ["LAB-2026-0418", "lab-2025-0418"]
    assert _called(client, "LAB-2026-0419", order="worklist") == ["LAB-2026-0419"]
    assert _called(client, "2026") == []


def test_slides_are_found_by_the_start_of_their_accession(client, factory: Factory):
    slide = factory.slide(slide_id=UUID("0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f"), slide_name="one")
    factory.slide(slide_name="two")
    for words in (accession(slide.slide_id), "s-0c2d", "0C2D3e4f"):
        assert _called(client, words) == ["one"]


def test_what_is_found_comes_in_pages_and_by_state(client, factory: Factory):
    made = [factory.slide(slide_name=f"LAB-{number}") for number in range(5)]
    factory.close_slide(made[0])
    found = _called(client, "lab-", limit=2)
    assert sorted(found) == [f"LAB-{number}" for number in range(5)]
    assert len(_called(client, "lab-", limit=2, state="receiving")) == 4


@pytest.mark.parametrize("words", ["%", "_", "\\", "'", "a%", "\\%", "100%s", "µ"])
def test_every_letter_of_a_search_means_itself(client, factory: Factory, words: str):
    factory.slide(slide_name="plain")
    factory.slide(slide_name=f"{words}-rest")
    assert _called(client, words) == [f"{words}-rest"]


def test_a_search_for_what_no_name_can_hold_is_the_readers_mistake(client, factory: Factory):
    answer = client.get(SLIDES, params={"q": "a\0b"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-request")


def test_what_the_laboratory_calls_stat_comes_before_routine_but_after_what_is_urgent(
    client, factory: Factory
):
    urgent = factory.slide(opened_at=OPENED, slide_name="urgent")
    factory.field(urgent)
    factory.trained_result(urgent, urgency=1)
    factory.slide(opened_at=OPENED + timedelta(hours=1), slide_name="stat", priority="stat")
    factory.slide(opened_at=OPENED + timedelta(hours=2), slide_name="routine")
    listed = everything(client, SLIDES, order="worklist", limit=1)
    assert [item["slide_name"] for item in listed] == ["urgent", "stat", "routine"]
    assert [item["priority"] for item in listed] == ["routine", "stat", "routine"]
