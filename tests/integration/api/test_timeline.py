"""The timeline of a slide: who did what to it, and who looked."""

import pytest

from parts.signing import sign_slide


@pytest.fixture
def slide(client, factory):
    """A slide with one relabelled cell and a signature."""
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    cell = next(iter(made.labels))
    answer = client.put(
        f"/api/v1/cells/{cell}/label", json={"label": "blast"}, headers={"If-Match": '"v0"'}
    )
    assert answer.status_code == 200, answer.text
    sign_slide(client, factory, made)
    return made


@pytest.fixture
def timeline(client, slide):
    def read(**query):
        answer = client.get(f"/api/v1/slides/{slide.slide_id}/timeline", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return read


def test_changes_are_told_newest_first_with_who_made_them(timeline, person):
    events = timeline()["items"]
    assert [(event["action"], event["subject"]) for event in events] == [
        ("sign", "signature"),
        ("label", "cell"),
    ]
    assert {event["actor_name"] for event in events} == {person.full_name}
    assert events[1]["detail"] == "blast"


def test_who_looked_is_told_where_asked(timeline):
    timeline()
    actions = [event["action"] for event in timeline(reads=True)["items"]]
    assert actions[0] == "read"
    assert {"see", "sign", "label"} < set(actions)


def test_pages_follow_each_other_without_gap_or_repeat(timeline):
    first = timeline(reads=True, limit=2)
    second = timeline(reads=True, limit=2, cursor=first["next"])
    shown = [event["event_id"] for event in first["items"] + second["items"]]
    assert shown == sorted(set(shown), reverse=True)
    assert len(shown) == 4


def test_the_page_has_a_line_for_each_change(client, slide, person):
    page = client.get(f"/slides/{slide.slide_id}/timeline").text
    assert page.count(f'<th scope="row">{person.full_name}</th>') == 2
    assert "Sign <" in page
    looks = client.get(f"/slides/{slide.slide_id}/timeline?reads=true").text
    assert looks.count(f'<th scope="row">{person.full_name}</th>') > 2


def test_a_slide_that_nobody_touched_says_so(client, factory):
    slide = factory.slide()
    page = client.get(f"/slides/{slide.slide_id}/timeline").text
    assert "Nobody has changed anything about this slide." in page
