"""People label cells: the second of two is told who was first, and an act is taken back whole."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from parts.people import as_person, let, logged_in, one_of

ADA, BOB, OPERATOR = "Ada", "Bob", "Op"
_ROLES = {ADA: "haematologist", BOB: "technologist", OPERATOR: "operator"}


@pytest.fixture
def act_as(anybody, database_url):
    """Let the client be one of the three from now on; it begins as Ada."""
    people = {
        name: logged_in(database_url, (role,), full_name=name) for name, role in _ROLES.items()
    }
    return one_of(anybody, people)


@pytest.fixture
def client(anybody, act_as):
    return anybody


@pytest.fixture
def slide(factory):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    return made


@pytest.fixture
def cells(client, slide, act_as):
    items = client.get(f"/api/v1/slides/{slide.slide_id}/cells").json()["items"]
    return [item["cell_id"] for item in items]


def put(client, cell, label, version=0, **headers):
    return client.put(
        f"/api/v1/cells/{cell}/label",
        json={"label": label},
        headers={"If-Match": f'"v{version}"', **headers},
    )


def undo(client, cell, version):
    return client.delete(f"/api/v1/cells/{cell}/label", headers={"If-Match": f'"v{version}"'})


def labelled(client, cell):
    answer = client.get(f"/api/v1/cells/{cell}/label")
    return answer.json()["current"]["label"], answer.headers["etag"]


def test_a_label_says_who_gave_it_and_when_and_what_went_before(client, cells, act_as):
    cell = cells[0]
    assert labelled(client, cell) == (None, '"v0"')
    first = put(client, cell, "promyelocyte")
    assert (first.status_code, first.headers["etag"]) == (200, '"v1"')
    act_as(BOB)
    assert put(client, cell, "blast", 1).status_code == 200
    told = client.get(f"/api/v1/cells/{cell}/label").json()
    assert told["current"]["label"] == "blast"
    history = [(row["label"], row["by_name"], row["version"]) for row in told["history"]]
    assert history == [("blast", "Bob", 2), ("promyelocyte", "Ada", 1)]
    assert all(row["at"] for row in told["history"])


def test_a_label_of_a_person_outranks_a_later_answer(client, cells, slide, factory):
    put(client, cells[0], "promyelocyte")
    factory.change_cell(UUID(cells[0]), label="neutrophil")
    seen = client.get(f"/api/v1/cells/{cells[0]}").json()
    assert (seen["label"], seen["reviewed"]["label"]) == ("neutrophil", "promyelocyte")
    assert "Promyelocyte" in client.get(f"/slides/{slide.slide_id}").text


def test_the_slide_counts_what_people_say_beside_what_the_model_says(client, cells, slide):
    before = client.get(f"/api/v1/slides/{slide.slide_id}").json()
    assert before["cells_by_class_reviewed"] == before["cells_by_class"]
    was = client.get(f"/api/v1/cells/{cells[0]}").json()["label"]
    put(client, cells[0], "artefact")
    after = client.get(f"/api/v1/slides/{slide.slide_id}").json()
    assert after["cells_by_class"] == before["cells_by_class"]
    expected = dict(before["cells_by_class"])
    expected[was] -= 1
    expected["artefact"] = 1
    assert after["cells_by_class_reviewed"] == {k: v for k, v in expected.items() if v}
    assert after["relabelled"] == 1
    listed = client.get("/api/v1/slides").json()["items"][0]
    assert listed == after


def test_the_second_of_two_is_told_the_first_ones_label_and_name(client, cells, act_as):
    put(client, cells[0], "blast")
    act_as(BOB)
    refused = put(client, cells[0], "lymphocyte")
    assert refused.status_code == 412
    problem = refused.json()
    assert problem["reason"] == "labelled-meanwhile"
    assert problem["detail"].startswith("Ada called this cell Blast at ")
    (first,) = problem["errors"]
    assert (first["where"], first["label"], first["by_name"], first["etag"]) == (
        cells[0],
        "blast",
        "Ada",
        '"v1"',
    )
    assert labelled(client, cells[0]) == ("blast", '"v1"')


def test_of_twenty_at_once_one_is_first(client, cells):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: put(client, cells[0], "blast"), range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert labelled(client, cells[0]) == ("blast", '"v1"')


@pytest.mark.parametrize(
    ("if_match", "status", "reason"),
    [
        (None, 428, "version-missing"),
        ("*", 412, "version-unknown"),
        ('"v"', 412, "version-unknown"),
        ('"v01"', 412, "version-unknown"),
        ('"v99999999999999999999"', 412, "version-unknown"),
        ('"v7"', 412, "labelled-meanwhile"),
    ],
)
def test_a_change_names_the_version_that_it_is_based_on(client, cells, if_match, status, reason):
    headers = {"If-Match": if_match} if if_match else {}
    for answer in (
        client.put(f"/api/v1/cells/{cells[0]}/label", json={"label": "blast"}, headers=headers),
        client.delete(f"/api/v1/cells/{cells[0]}/label", headers=headers),
    ):
        if answer.status_code != 409:  # nothing is there to be taken back
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)


def test_an_undo_takes_back_the_last_act_and_no_more(client, cells):
    put(client, cells[0], "blast")
    put(client, cells[0], "lymphocyte", 1)
    taken_back = undo(client, cells[0], 2)
    assert taken_back.status_code == 200
    assert labelled(client, cells[0]) == ("blast", '"v3"')
    again = undo(client, cells[0], 3)
    assert (again.status_code, again.json()["reason"]) == (409, "nothing-to-undo")
    assert labelled(client, cells[0]) == ("blast", '"v3"')


def test_the_undo_of_a_first_label_leaves_the_models(client, cells):
    put(client, cells[0], "blast")
    undo(client, cells[0], 1)
    assert labelled(client, cells[0]) == (None, '"v2"')
    seen = client.get(f"/api/v1/cells/{cells[0]}").json()
    assert (seen["reviewed"], seen["label_version"]) == (None, 2)


def test_nobody_takes_back_what_another_did(client, cells, act_as):
    put(client, cells[0], "blast")
    act_as(BOB)
    assert undo(client, cells[0], 1).json()["reason"] == "nothing-to-undo"
    assert undo(client, cells[1], 0).json()["reason"] == "nothing-to-undo"
    assert labelled(client, cells[0]) == ("blast", '"v1"')


def many(client, slide, cells, label, version=0):
    labels = [{"cell_id": cell, "label": label, "version": version} for cell in cells]
    return client.post(f"/api/v1/slides/{slide.slide_id}/labels", json={"labels": labels})


def test_many_cells_are_one_act(client, cells, slide):
    put(client, cells[0], "monocyte")
    put(client, cells[1], "monocyte")
    answer = client.post(
        f"/api/v1/slides/{slide.slide_id}/labels",
        json={
            "labels": [
                {"cell_id": cells[0], "label": "blast", "version": 1},
                {"cell_id": cells[1], "label": "promyelocyte", "version": 1},
                {"cell_id": cells[2], "label": "blast", "version": 0},
            ]
        },
    )
    assert answer.status_code == 200
    assert [row["label"] for row in answer.json()["labels"]] == ["blast", "promyelocyte", "blast"]
    assert undo(client, cells[2], 1).status_code == 200
    assert [labelled(client, cell)[0] for cell in cells[:3]] == ["monocyte", "monocyte", None]


def test_of_many_either_all_are_labelled_or_none(client, cells, slide, act_as):
    put(client, cells[1], "monocyte")
    act_as(BOB)
    refused = many(client, slide, cells[:3], "blast")
    assert refused.status_code == 412
    assert [error["where"] for error in refused.json()["errors"]] == [cells[1]]
    assert labelled(client, cells[0]) == (None, '"v0"')


def test_an_act_is_not_taken_back_in_part(client, cells, slide, act_as):
    many(client, slide, cells[:3], "blast")
    act_as(BOB)
    put(client, cells[1], "lymphocyte", 1)
    act_as(ADA)
    refused = undo(client, cells[0], 1)
    assert refused.status_code == 412
    assert "Bob called this cell Lymphocyte" in refused.json()["detail"]
    assert labelled(client, cells[0]) == ("blast", '"v1"')


def test_cells_of_another_slide_and_cells_named_twice_are_refused(client, cells, slide, factory):
    other = factory.slide()
    assert many(client, other, cells[:1], "blast").status_code == 404
    assert many(client, slide, [cells[0]] * 2, "blast").json()["reason"] == "cell-named-twice"
    assert many(client, slide, [str(uuid4())], "blast").status_code == 404
    assert put(client, uuid4(), "blast").status_code == 404


@pytest.mark.parametrize(
    "body", [{"label": "cat"}, {"label": None}, {}, {"label": "blast", "x": 1}]
)
def test_a_label_is_a_class_of_the_differential(client, cells, body):
    answer = client.put(f"/api/v1/cells/{cells[0]}/label", json=body, headers={"If-Match": '"v0"'})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-request")


def test_whoever_does_not_review_changes_nothing(client, cells, slide, act_as):
    act_as(OPERATOR)
    comment = client.post(f"/api/v1/slides/{slide.slide_id}/comments", json={"text": "x"})
    for answer in (
        put(client, cells[0], "blast"),
        undo(client, cells[0], 0),
        many(client, slide, cells[:1], "blast"),
        comment,
    ):
        assert (answer.status_code, answer.json()["reason"]) == (403, "no-permission")
    assert labelled(client, cells[0]) == (None, '"v0"')


def test_who_reviews_at_one_site_labels_nothing_at_another(
    client, cells, slide, act_as, database_url
):
    person = logged_in(database_url, ("haematologist",), "south")
    let(database_url, person, [("haematologist", "south"), ("operator", "north")])
    as_person(client, person)
    refused = put(client, cells[0], "blast")
    assert (refused.status_code, refused.json()["reason"]) == (403, "no-permission")
    assert labelled(client, cells[0]) == (None, '"v0"')
