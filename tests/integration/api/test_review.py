"""A person reads a slide and stands behind it: what is unseen is not signed; the signed stays."""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy
from parts.people import logged_in, one_of
from parts.reviewing import Asks

ADA, BOB, TOM, OPERATOR = "Ada", "Bob", "Tom", "Op"
_ROLES = {
    ADA: ("haematologist",),
    BOB: ("haematologist",),
    TOM: ("technologist",),
    OPERATOR: ("operator", "admin"),
}


@pytest.fixture
def people(database_url):
    return {name: logged_in(database_url, roles, full_name=name) for name, roles in _ROLES.items()}


@pytest.fixture
def act_as(anybody, people):
    """Let the client be one of them from now on; it begins as Ada."""
    return one_of(anybody, people)


@pytest.fixture
def client(anybody, act_as):
    return anybody


@pytest.fixture
def does(database_url):
    engine = make_engine(database_url, principal=service("tests"))

    def do(verb, *values):
        with unit_of_work(engine) as connection:
            return verb(connection, *values)

    yield do
    engine.dispose()


@pytest.fixture
def slide(factory, does, act_as):
    """A slide of two fields, complete and ready."""
    made = factory.slide()
    factory.field(made)
    factory.field(made)
    factory.trained_result(made)
    factory.close_slide(made)
    does(make_ready, 1e-6)
    return made


@pytest.fixture
def asks(client, slide):
    """The review of the slide: read, begun, seen, signed by whoever acts."""
    return Asks(client, slide)


def test_a_slide_that_is_ready_is_begun_and_given_back(asks):
    assert asks.read()["state"] == "ready"
    begun = asks.step("begin-review").json()
    assert (begun["state"], begun["reader_name"]) == ("in-review", "Ada")
    left = asks.step("leave-review").json()
    assert (left["state"], left["reader_name"]) == ("ready", None)


def test_what_was_not_seen_is_not_signed_and_is_named(asks):
    wanted = [cell["cell_id"] for cell in asks.read()["to_see"]]
    assert len(wanted) >= 4
    told = asks.see(wanted[2:]).json()
    assert told == {"cells_unseen": 2, "fields_unseen": 1}
    refused = asks.sign()
    assert (refused.status_code, refused.json()["reason"]) == (409, "not-all-seen")
    assert "2 cells and 1 field at full resolution" in refused.json()["detail"]
    assert {error["where"] for error in refused.json()["errors"]} == set(wanted[:2])
    assert asks.read()["state"] == "ready"
    assert asks.read()["signatures"] == []


def test_what_another_reader_saw_does_not_count(asks, act_as):
    asks.see_all()
    act_as(BOB)
    assert asks.sign().json()["reason"] == "not-all-seen"


def test_cells_of_another_slide_are_not_seen_in_this_one(asks, factory, does):
    other = factory.slide()
    factory.field(other)
    before = asks.read()["cells_unseen"]
    told = asks.see(list(other.labels), other.fields)
    assert told.json() == {"cells_unseen": before, "fields_unseen": 1}


def test_what_is_signed_is_written_once_byte_for_byte(asks, people):
    by = str(people[ADA].person_id)
    cell = asks.read()["to_see"][0]["cell_id"]
    asks.label(cell, "promyelocyte")
    asks.see_all()
    signature = asks.sign().json()
    first = asks.report(signature)
    assert hashlib.sha256(first.content).hexdigest() == signature["report_sha256"]
    report = first.json()
    assert (report["signed_by_name"], report["revision"], report["amends"]) == ("Ada", 1, None)
    assert report["labels"] == [
        {"cell_id": cell, "label": "promyelocyte", "by": by, "by_name": "Ada"}
    ]
    assert sum(report["cells_by_reader"].values()) == sum(report["cells_by_model"].values())
    assert "Research Use Only" in report["notice"]
    assert asks.read()["state"] == "signed"
    asks.label(cell, "blast", 1)
    assert asks.report(signature).content == first.content


def test_what_people_name_is_counted_beside_what_the_model_counts(asks, client):
    def shares(read):
        return {share["label"]: share["cells"] for share in read["differential"]}

    before = asks.read()["read_so_far"]
    assert before["named"] == 0
    cells = client.get(f"/api/v1/slides/{asks.slide.slide_id}/cells").json()["items"]
    asks.label(next(c["cell_id"] for c in cells if c["label"] == "neutrophil"), "basophil")
    after = asks.read()["read_so_far"]
    assert after["named"] == 1
    counted = Counter(shares(before))
    counted.subtract({"neutrophil": 1, "basophil": -1})
    assert shares(after) == +counted
    result = client.get(f"/api/v1/slides/{asks.slide.slide_id}/result").json()
    assert "basophil" not in shares(result["summary"])
    asks.see_all()
    report = asks.report(asks.sign().json()).json()
    assert report["cells_by_reader"]["basophil"] == 1


def test_a_label_after_signing_marks_the_slide_and_changes_no_report(asks, client):
    asks.see_all()
    signature = asks.sign().json()
    assert asks.read()["changed_since_signing"] is False
    before = asks.report(signature).content
    asks.label(next(iter(asks.slide.labels)), "blast")
    assert asks.read()["changed_since_signing"] is True
    assert asks.report(signature).content == before
    listed = client.get("/api/v1/slides").json()["items"][0]
    assert "changed-since-signing" in {flag["code"] for flag in listed["flags"]}


def test_a_newer_result_after_signing_marks_the_slide_and_must_be_seen_anew(asks, factory):
    asks.see_all()
    signature = asks.sign().json()
    before = asks.report(signature).content
    factory.newer_result(asks.slide, cells=99)
    now = asks.read()
    assert (now["state"], now["revision"], now["changed_since_signing"]) == ("signed", 2, True)
    assert asks.report(signature).content == before
    refused = asks.sign(revision=1, reason="two fields came")
    assert (refused.status_code, refused.json()["reason"]) == (409, "other-revision")
    refused = asks.sign(revision=2, reason="two fields came")
    assert refused.json()["reason"] == "not-all-seen"
    wanted = [cell["cell_id"] for cell in now["to_see"]]
    asks.see(wanted, asks.slide.fields[:1], revision=2)
    amended = asks.sign(revision=2, reason="two fields came").json()
    assert (amended["amends"], amended["reason"]) == (signature["signature_id"], "two fields came")
    told = asks.read()
    assert (told["state"], told["changed_since_signing"]) == ("amended", False)
    assert [row["signature_id"] for row in told["signatures"]] == [
        amended["signature_id"],
        signature["signature_id"],
    ]
    assert asks.report(signature).content == before
    assert json.loads(asks.report(amended).content)["reason"] == "two fields came"


def test_a_report_on_paper_is_the_same_bytes_whatever_comes_later(asks, factory):
    unreviewed = asks.paper()
    assert (unreviewed.status_code, unreviewed.headers["content-type"]) == (200, "application/pdf")
    asks.see_all()
    signature = asks.sign().json()
    signed = asks.paper(signature)
    assert signed.content.startswith(b"%PDF-")
    assert signed.content == asks.paper().content != unreviewed.content
    asks.label(next(iter(asks.slide.labels)), "blast")
    factory.newer_result(asks.slide, cells=99)
    assert asks.paper(signature).content == asks.paper().content == signed.content
    assert signed.headers["content-disposition"].startswith('inline; filename="S-')


def test_a_slide_without_a_result_has_no_report(client, factory):
    slide = factory.slide()
    answer = client.get(f"/api/v1/slides/{slide.slide_id}/report.pdf")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown-result")


def test_amending_wants_a_reason_and_a_first_signature_has_none(asks):
    asks.see_all()
    assert asks.sign(reason="why not").json()["reason"] == "not-now"
    assert asks.sign().status_code == 200
    assert asks.sign().json()["reason"] == "not-now"


def test_of_twenty_signatures_at_once_one_succeeds(asks):
    asks.see_all()
    version = asks.read()["version"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: asks.sign(version), range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert len(asks.read()["signatures"]) == 1


def test_a_signature_that_is_based_on_older_labels_is_refused(asks, act_as):
    asks.see_all()
    version = asks.read()["version"]
    act_as(BOB)
    asks.label(next(iter(asks.slide.labels)), "blast")
    act_as(ADA)
    refused = asks.sign(version)
    assert (refused.status_code, refused.json()["reason"]) == (412, "changed-meanwhile")
    assert "Look again" in refused.json()["detail"]


@pytest.mark.parametrize("name", [TOM, OPERATOR])
def test_only_haematologists_sign(asks, act_as, name):
    act_as(name)
    assert asks.sign(0).status_code == 403
    assert asks.step("begin-review", 0).status_code == 403


def test_an_unfit_slide_wants_a_reason_and_takes_no_signature(asks, client):
    (missing,) = asks.step("call-unfit").json()["errors"]
    assert missing == {"where": "body.call-unfit.reason", "fault": "Field required"}
    assert asks.step("call-unfit", reason="too thick").json()["state"] == "unfit"
    said = client.get(f"/api/v1/slides/{asks.slide.slide_id}/comments").json()["comments"]
    assert [(one["text"], one["by_name"]) for one in said] == [("Unfit: too thick", "Ada")]
    asks.see_all()
    assert asks.sign().json()["reason"] == "not-now"


def test_a_site_asks_by_its_own_policy_and_the_signature_names_its_version(asks, does):
    policy = ReviewPolicy(classes=(), doubt_below=0, disagreeing=False, others=2, fields=0)
    assert does(set_policy, service("tests"), "elsewhere", policy) == 1
    assert len(asks.read()["to_see"]) > 2
    assert does(set_policy, service("tests"), "north", policy) == 1
    told = asks.read()
    assert (told["policy_version"], len(told["to_see"]), told["fields_unseen"]) == (1, 2, 0)
    asks.see([cell["cell_id"] for cell in told["to_see"]])
    assert asks.sign().json()["policy_version"] == 1


def test_a_log_in_that_is_not_of_this_moment_does_not_sign(asks, does, people):
    asks.see_all()
    does(
        lambda connection: connection.exec_driver_sql(
            "update sessions set authenticated_at = now() - interval '1 hour'"
        )
    )
    refused = asks.sign()
    assert (refused.status_code, refused.json()["reason"]) == (401, "log-in-again")
    assert asks.read()["signatures"] == []


def test_no_token_signs(asks, anybody, people):
    asks.see_all()
    version = asks.read()["version"]
    anybody.cookies.clear()
    anybody.headers.update(people[ADA].bearer)
    refused = asks.sign(version)
    assert (refused.status_code, refused.json()["reason"]) == (403, "person-needed")


def test_each_step_is_on_record(asks, does):
    asks.step("begin-review")
    asks.see_all()
    asks.sign()
    kept = does(
        lambda connection: [
            tuple(row)
            for row in connection.exec_driver_sql(
                "select actor_name, action from audit_events"
                f" where action <> 'read' and slide_id = '{asks.slide.slide_id}' order by event_id"
            )
        ]
    )
    assert kept == [("Ada", "begin-review"), ("Ada", "see"), ("Ada", "sign")]


def test_fhir_tells_of_what_was_signed_whatever_comes_later(asks, client, factory):
    def told(what="DiagnosticReport"):
        name = asks.slide.slide_id if what != "Observation" else f"{asks.slide.slide_id}.blast"
        return client.get(f"/fhir/R4/{what}/{name}").json()

    assert told()["status"] == "partial"
    for cell in asks.slide.labels:
        asks.label(cell, "blast")
    asks.see_all()
    asks.sign()
    report = told()
    assert report["status"] == "final"
    assert report["resultsInterpreter"] == [{"display": "Ada"}]
    assert "Signed by Ada" in report["conclusion"]
    blast = told("Observation")
    assert (blast["status"], blast["valueQuantity"]["value"]) == ("final", 100)
    assert "Counted by the reader" in blast["note"][0]["text"]
    assert told("Provenance")["agent"][0]["who"] == {"display": "Ada"}
    factory.newer_result(asks.slide, cells=99)
    assert told() == report
    assert told("Observation") == blast
    now = asks.read()
    asks.see([cell["cell_id"] for cell in now["to_see"]], asks.slide.fields[:1], revision=2)
    asks.sign(revision=2, reason="two fields came")
    amended = told()
    assert amended["status"] == "amended"
    assert "two fields came" in amended["conclusion"]
    assert amended["meta"]["versionId"] != report["meta"]["versionId"]


def test_a_report_that_nobody_signed_is_not_there(asks, client):
    answer = client.get(f"/api/v1/slides/{asks.slide.slide_id}/signatures/{uuid4()}")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown-signature")
