"""The pages as a browser gets them; tests/e2e looks at them through one."""

import re
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from factories import Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.database.schema import Frame
from hemaline_shared.ids import accession, cell_id
from parts.people import as_person, logged_in
from parts.postgres import as_owner
from parts.reviewing import Asks

ASK = {"Accept": "text/html"}


def page(client: TestClient, address: str, status: int = 200) -> str:
    answer = client.get(address, headers=ASK)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def test_every_page_says_that_it_is_for_research_only(client, factory: Factory):
    slide = factory.slide()
    for address in ("/", f"/slides/{slide.slide_id}", "/devices", "/problems"):
        assert "For Research Use Only. Not for use in diagnostic procedures." in page(
            client, address
        )


def test_an_empty_system_says_what_will_happen(client):
    assert "as soon as a microscope sends its first frame" in page(client, "/")
    assert "hemaline-edge run" in page(client, "/devices")
    assert "That is good news" in page(client, "/problems")


def test_a_slide_is_found_by_its_accession_and_by_its_id(client, factory: Factory):
    slide = factory.slide()
    for name in (accession(slide.slide_id), accession(slide.slide_id).lower(), slide.slide_id):
        assert accession(slide.slide_id) in page(client, f"/slides/{name}")


def test_two_slides_of_one_accession_are_never_mixed_up(client, factory: Factory):
    twins = [UUID(int=5), UUID(int=(9 << 64) + 5)]
    for twin in twins:
        factory.slide(slide_id=twin)
    text = page(client, f"/slides/{accession(twins[0])}", status=409)
    assert all(str(twin) in text for twin in twins)


def test_an_unknown_slide_gets_a_page_that_leads_back(client):
    assert 'href="/"' in page(client, "/slides/S-00000000", status=404)
    assert 'href="/"' in page(client, "/slides/S-0000%00", status=422)


def test_an_untrained_result_shows_a_count_and_no_share(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    text = page(client, f"/slides/{slide.slide_id}?cell={cell_id(slide.fields[0], 0)}")
    assert "Cells are counted, not classified." in text
    assert "not classified: untrained model" in text
    shares_of_grades = r'title="ICSH 2015[^"]*"'  # from which share a person grades red cells
    assert not re.search(r"\d\s*%", re.sub(shares_of_grades, "", text))


def test_a_trained_result_shows_shares_with_intervals(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide, urgency=2)
    text = page(client, f"/slides/{slide.slide_id}")
    assert "Differential" in text
    assert "33%" in text
    assert re.search("27%.41%", text)
    assert "Untrained" not in text


def test_apl_and_subtypes_are_shown_with_what_they_rest_on(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    apl = {"cells": 12, "probability": 0.7, "low": 0.6, "high": 0.8}
    subtype = {"fields": 3, "shares": [{"label": "early-pre-b", "probability": 0.8}]}
    flag = {"code": "apl-suspected", "text": "12 immature cells look like APL."}
    factory.trained_result(slide, apl=apl, all_subtype=subtype, flags=[flag])
    shown = page(client, f"/slides/{slide.slide_id}")
    assert "12 immature cells look like APL." in shown
    assert "mean of 12 immature cells; means something only if this is AML" in shown
    assert "Early pre-B" in shown
    assert "Mean over 3 fields. Learned from the slides of one hospital" in shown


def test_blasts_over_a_threshold_are_told_once(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    over = {"code": "blasts-over-who-threshold", "text": "Blasts are 31% of 118 leukocytes."}
    present = {"code": "blasts-present", "text": "37 of 118 leukocytes look like blasts."}
    factory.trained_result(slide, flags=[over, present])
    for address in ("/", f"/slides/{slide.slide_id}"):
        shown = page(client, address)
        assert over["text"] in shown
        assert present["text"] not in shown


def test_a_result_without_them_shows_neither(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    shown = page(client, f"/slides/{slide.slide_id}")
    assert "APL" not in shown
    assert "B-ALL" not in shown


def test_the_chosen_cell_shows_each_networks_view_and_what_the_heat_map_is(
    client, factory: Factory
):
    slide = factory.slide()
    cell = cell_id(factory.field(slide), 0)
    factory.trained_result(slide)
    shown = page(client, f"/slides/{slide.slide_id}?cell={cell}")
    assert "ResNet-34" in shown
    assert "They differ by" in shown
    assert "where the networks see blast" in shown
    assert "4 by 4 squares drawn smoothly: a region, not an outline." in shown


def test_frames_without_a_result_are_counted_with_their_reasons(client, factory: Factory):
    slide = factory.slide()
    factory.rejected(slide, "no-such-reason")
    factory.quarantined(slide, "truncated")
    text = page(client, f"/slides/{slide.slide_id}")
    assert "No such reason." in text
    assert "The image file ends too early" in text


def test_a_simulated_slide_is_labelled_wherever_it_is_shown(client, factory: Factory):
    slide = factory.slide(simulated=True)
    factory.field(slide)
    for address in ("/", f"/slides/{slide.slide_id}"):
        assert ">simulated<" in page(client, address)
    real = factory.slide()
    factory.field(real)
    assert ">simulated<" not in page(client, f"/slides/{real.slide_id}")


def test_the_field_of_the_chosen_cell_is_shown_with_every_box(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    chosen = factory.field(slide)
    text = page(client, f"/slides/{slide.slide_id}?cell={cell_id(chosen, 2)}")
    assert f"/api/v1/fields/{chosen}/image" in text
    assert text.count('<rect class="box') == 3
    assert "Field 2 <small>of 2</small>" in text


@pytest.mark.parametrize("part", ["cell", "field"])
def test_a_part_of_another_slide_is_not_shown_in_this_one(client, factory: Factory, part: str):
    slide, other = factory.slide(), factory.slide()
    factory.field(slide)
    frame_id = factory.field(other)
    name = cell_id(frame_id, 0) if part == "cell" else frame_id
    page(client, f"/slides/{slide.slide_id}?{part}={name}", status=404)
    page(client, f"/slides/{slide.slide_id}?{part}={uuid4()}", status=404)


@pytest.mark.parametrize("kind", ["quarantined", "rejected", "dead-letters"])
def test_problems_are_told_in_plain_words(client, factory: Factory, kind: str):
    slide = factory.slide()
    factory.rejected(slide, "too-many-bytes")
    factory.quarantined(slide, "truncated")
    factory.dead_letter("unknown-version")
    words = {
        "rejected": "larger than allowed",
        "quarantined": "ends too early",
        "dead-letters": "another version",
    }
    text = page(client, f"/problems?kind={kind}")
    assert [shown for shown, word in words.items() if word in text] == [kind]


def test_a_garbage_cursor_gets_a_page_that_says_so(client):
    assert "Start again without it" in page(client, "/?cursor=garbage", status=400)


def test_markup_from_a_device_stays_text(client, factory: Factory):
    slide = factory.slide()
    factory.quarantined(slide)
    with factory.engine.begin() as connection:
        connection.execute(update(Frame).values(detail="<script>alert(1)</script>"))
    text = page(client, "/problems")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_pages_hold_no_inline_script_or_style_and_name_no_other_host(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    factory.device(spooled=2)
    for address in ("/", f"/slides/{slide.slide_id}", "/devices", "/problems"):
        text = page(client, address)
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


def test_every_answer_carries_the_security_headers(client):
    for address in ("/", "/api/v1/slides", "/api/v1/nothing", "/static/hemaline.css"):
        headers = client.get(address).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_worklist_names_slides_as_the_laboratory_does_and_finds_them(client, factory: Factory):
    factory.slide(slide_name="LAB-2026-0418", priority="stat")
    factory.slide(slide_name="<b>other</b>")
    shown = page(client, "/?q=lab-2026")
    assert "LAB-2026-0418" in shown
    assert ">STAT<" in shown
    assert "other" not in shown
    assert "&lt;b&gt;other" in page(client, "/")
    assert "No slide is called “nobody”" in page(client, "/?q=nobody")


def ready_slide(factory: Factory) -> SlideMade:
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    factory.close_slide(slide)
    with unit_of_work(factory.engine) as connection:
        make_ready(connection, 1e-6)
    return slide


def test_the_tabs_count_the_slides_by_how_far_their_review_is(
    client, person, factory: Factory, database_url
):
    def shown(address="/"):
        return re.sub(r"<[^>]+>", "", page(client, address))

    receiving, ready, mine = factory.slide(), ready_slide(factory), ready_slide(factory)
    Asks(client, mine).step("begin-review")
    counts = r"Receiving 1\s+Ready 1\s+In review 1\s+Second reader 0\s+Signed 0\s+Unfit 0\s+Mine 1"
    assert re.search(counts, shown())
    accessions = {accession(slide.slide_id) for slide in (receiving, ready, mine)}
    for address, only in (
        ("/?review=receiving", receiving),
        ("/?review=ready", ready),
        ("/?review=in-review", mine),
        ("/?mine=true", mine),
    ):
        told = shown(address)
        found = {one for one in accessions if one in told}
        assert found == {accession(only.slide_id)}, address
    assert re.search(r"ready (just now|\d+ min ago)", shown("/?review=ready"))
    assert f"read by {person.full_name}" in shown("/?mine=true")
    assert "No slide is awaiting second reader" in shown("/?review=awaiting-second-reader")
    listed = client.get("/api/v1/slides", params={"review": "ready"}).json()["items"]
    assert [slide["slide_id"] for slide in listed] == [str(ready.slide_id)]
    assert listed[0]["ready_at"]


def test_nobody_else_finds_a_slide_among_theirs(client, anybody, factory, database_url):
    Asks(client, ready_slide(factory)).step("begin-review")
    as_person(anybody, logged_in(database_url))
    assert "You are reading no slide" in page(anybody, "/?mine=true")


def test_lists_show_small_pictures(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    for address in ("/", f"/slides/{slide.slide_id}"):
        shown = page(client, address)
        assert "/thumbnail" in shown
        assert not re.search(r'src="/api/v1/cells/[^"]*/image"', shown)


def test_a_page_that_a_missing_database_refused_asks_again_by_itself(
    client, database_url, factory: Factory
):
    with psycopg.connect(as_owner(database_url)) as connection:
        connection.execute("alter table slides rename to gone")
    shown = page(client, "/", status=503)
    assert '<meta http-equiv="refresh" content="5">' in shown
    assert "asks again by itself" in shown


def test_cells_that_do_not_count_are_shown_and_marked(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    counting = {
        "found": 130,
        "counted": 118,
        "excluded": {"cut-by-border": 9, "seen-before": 3},
        "named": 101,
        "unclassified": 13,
    }
    factory.trained_result(slide, version=2, counting=counting)
    first, cut, again = slide.labels
    factory.exclude(cut, "cut-by-border")
    factory.exclude(again, "seen-before", same_as=first)
    shown = page(client, f"/slides/{slide.slide_id}?cell={again}")
    assert shown.count("uncounted") == 4  # two in the gallery, two boxes
    assert "Cut by the border" in shown
    assert "The same cell lies in another field of this slide, where it counts." in shown
    assert f"cell={first}" in shown.split("See it there")[0].split("<dt>Not counted")[1]
    for line in (
        "<dd>130</dd>",
        "<dd>&minus;9</dd>",
        "<dd>&minus;3</dd>",
        "<dd>118</dd>",
        "<dd>13</dd>",
    ):
        assert line in shown


@pytest.mark.parametrize("provisional", [False, True])
def test_the_panel_of_the_blasts_says_what_the_banner_says(
    client, factory: Factory, provisional: bool
):
    slide = factory.slide()
    factory.field(slide)
    blasts = {
        "cells": 30,
        "leukocytes": 60 if provisional else 150,
        "unclassified": 12,
        "fraction": 0.24,
        "low": 0.152,
        "high": 0.338,
        "provisional": provisional,
        "thresholds": [
            {"name": "WHO 2022", "fraction": 0.2, "verdict": "undecided"},
            {"name": "ICC 2022", "fraction": 0.1, "verdict": "above"},
        ],
    }
    factory.trained_result(slide, blasts=blasts)
    shown = page(client, f"/slides/{slide.slide_id}")
    assert "Blasts <b>15.2% to 33.8%</b>" in shown
    assert "estimate 24.0%; 30 cells called so" in shown
    assert "Perhaps over WHO 2022&#39;s 20%" in shown
    assert "Over ICC 2022&#39;s 10%" in shown
    assert ("Provisional: 60 of 100 cells" in shown) is provisional
    more = 231 if provisional else 576
    assert f"At least about {more} more cells would decide, if the share stays." in shown
    told = client.get(f"/api/v1/slides/{slide.slide_id}/result").json()["not_enough_cells"]
    assert told == {"leukocytes": blasts["leukocytes"], "more": more}


def test_a_result_of_before_the_counting_rule_is_still_shown(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide)
    assert "3 white cells in 1 field." in page(client, f"/slides/{slide.slide_id}")


def test_a_slide_that_was_more_urgent_says_so(client, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide, urgency=3)
    factory.newer_result(slide, urgency=1)
    assert "An earlier result of this slide was more urgent" in page(client, "/")


def test_a_frame_with_several_faults_leads_with_one(client, factory: Factory):
    slide = factory.slide(slide_name="LAB-2026-0418")
    factory.rejected(slide, "out-of-focus", "too-dark")
    shown = page(client, "/problems?kind=rejected")
    assert "<h2>Out of focus. Focus and capture this place again.</h2>" in shown
    assert ">Too dark</span>" in shown
    assert "LAB-2026-0418" in shown


@pytest.mark.parametrize("asked", [{}, {"label": "blast"}])
def test_the_gallery_goes_on_where_the_list_of_cells_does(client, factory, asked):
    made = factory.slide()
    for _ in range(2):
        factory.field(made)
    factory.trained_result(made)
    address = f"/api/v1/slides/{made.slide_id}/cells"
    every = client.get(address, params=asked).json()["items"]
    assert len(every) > 1
    for place in range(len(every) - 1):
        listed = client.get(address, params={**asked, "limit": place + 1}).json()
        shown = page(
            client, f"/slides/{made.slide_id}?{urlencode({**asked, 'cursor': listed['next']})}"
        )
        cells = re.findall(r'id="cell-([^"]+)"', shown)
        assert cells == [cell["cell_id"] for cell in every[place + 1 :]]
