"""The second factor, break-glass, and what administrators see."""

import html
import re
import time

import pyotp
import pytest
from fastapi.testclient import TestClient

from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.engine import unit_of_work
from parts.people import LoggedIn, as_person, local_account, logged_in

HTML = {"Accept": "text/html"}


def fields_of(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def log_in(client: TestClient, name: str, password: str, code: str = ""):
    form = fields_of(client.get("/log-in?again=1").text)
    form |= {"name": name, "password": password, "code": code}
    return client.post("/log-in", data=form, follow_redirects=False)


def with_second_factor(client: TestClient, database_url: str) -> tuple[str, pyotp.TOTP]:
    """Log in and switch it on, as a person does."""
    password = local_account(database_url, "ada")
    assert log_in(client, "ada", password).status_code == 303
    csrf = {"csrf": fields_of(client.get("/account").text)["csrf"]}
    page = client.post("/account/second-factor", data=csrf | {"act": "on"}).text
    assert '<svg width="' in page
    form = fields_of(page)
    totp = pyotp.TOTP(form["secret"])
    wrong = client.post("/account/second-factor", data=form | {"code": "000000"})
    assert "This code is wrong." in wrong.text
    assert fields_of(wrong.text)["secret"] == form["secret"]
    earlier = totp.at(time.time() - 30)
    answer = client.post("/account/second-factor", data=form | {"code": earlier})
    assert "From now on a code of your app is asked for" in answer.text
    client.cookies.clear()
    return password, totp


def test_with_a_second_factor_a_password_alone_lets_nobody_in(anybody, database_url: str):
    password, totp = with_second_factor(anybody, database_url)
    answer = log_in(anybody, "ada", password)
    assert answer.status_code == 401
    assert "Code of your authenticator app" in answer.text
    assert log_in(anybody, "ada", password, "000000").status_code == 401
    assert log_in(anybody, "ada", password, totp.now()).status_code == 303


def test_a_code_is_good_once(anybody: TestClient, database_url: str):
    password, totp = with_second_factor(anybody, database_url)
    code = totp.now()
    assert log_in(anybody, "ada", password, code).status_code == 303
    anybody.cookies.clear()
    answer = log_in(anybody, "ada", password, code)
    assert answer.status_code == 401
    assert "This code is wrong or was used already." in answer.text


def test_a_wrong_password_does_not_tell_that_there_is_a_second_factor(anybody, database_url: str):
    with_second_factor(anybody, database_url)
    answer = log_in(anybody, "ada", "wrong")
    assert "authenticator" not in answer.text


def test_the_second_factor_is_changed_only_shortly_after_a_log_in(client: TestClient):
    engine = client.app.state.context.authenticator.engine  # type: ignore[attr-defined]
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "update sessions set authenticated_at = now() - interval '6 minutes'"
        )
    answer = client.post("/account/second-factor", data={"act": "off"})
    assert (answer.status_code, answer.json()["reason"]) == (401, "log-in-again")


def change_password(client: TestClient, present: str, new: str, repeated: str | None = None):
    form = {"csrf": fields_of(client.get("/account").text)["csrf"]}
    form |= {"present": present, "new": new, "repeated": new if repeated is None else repeated}
    return client.post("/account/password", data=form)


def test_whoever_changes_the_password_logs_in_with_the_new_one(anybody, database_url: str):
    old, new = local_account(database_url, "ada"), "four words to keep"
    log_in(anybody, "ada", old)
    page = change_password(anybody, old, new)
    assert "Your password is changed. Log in with the new one." in page.text
    assert anybody.get("/api/v1/session").status_code == 401
    assert log_in(anybody, "ada", old).status_code == 401
    assert log_in(anybody, "ada", new).status_code == 303
    engine = anybody.app.state.context.authenticator.engine
    with unit_of_work(engine) as connection:
        acts = connection.exec_driver_sql(
            "select action from audit_events where actor_name = 'Ada' order by event_id"
        )
        assert [act for (act,) in acts] == ["log-in", "change-password", "log-in"]


@pytest.mark.parametrize(
    ("present", "new", "repeated", "sentence"),
    [
        ("wrong", "four words to keep", None, "Your present password is another."),
        (None, "too short", None, "A new password has 12 to 200 letters"),
        (None, "long enough for Ada", None, "must not hold the name"),
        (None, "four words to keep", "five words to keep", "are not the same"),
    ],
)
def test_a_password_is_not_changed(
    anybody, database_url: str, present: str | None, new: str, repeated: str | None, sentence: str
):
    old = local_account(database_url, "ada")
    log_in(anybody, "ada", old)
    answer = change_password(anybody, present or old, new, repeated)
    assert answer.status_code == 422
    assert sentence in answer.text
    anybody.cookies.clear()
    assert log_in(anybody, "ada", old).status_code == 303


def test_the_present_password_cannot_be_guessed_in_an_open_session(anybody, database_url: str):
    log_in(anybody, "ada", local_account(database_url, "ada"))
    answers = [change_password(anybody, f"guess {n}", "four words to keep") for n in range(6)]
    assert "Too many wrong attempts. Try again in" in answers[-1].text


def break_glass(client: TestClient, site: str, reason: str):
    return client.post("/account/break-glass", data={"site": site, "reason": reason}, headers=HTML)


def test_the_glass_is_broken_for_an_hour_with_a_reason_and_administrators_see_it(
    api_settings, database_url: str, caplog: pytest.LogCaptureFixture
):
    doctor = logged_in(database_url, roles=("haematologist",), site="north")
    admin = logged_in(database_url, roles=("admin",))
    with TestClient(make_app(api_settings)) as client:
        as_person(client, doctor)
        page = break_glass(client, "south", "Emergency: transferred patient")
        assert "You may see this site for one hour." in page.text
        grants = client.get("/api/v1/session").json()["grants"]
        assert {"role": "haematologist", "site": "south"} in grants
        assert f"{doctor.name} broke the glass of site south" in caplog.text
        engine = client.app.state.context.authenticator.engine  # type: ignore[attr-defined]
        assert on_record(engine, doctor.person_id) == [
            ("break-glass", "site", "south", "Emergency: transferred patient")
        ]
        assert client.get("/people").status_code == 403
        as_person(client, admin)
        seen = client.get("/people").text
        assert "Emergency: transferred patient" in seen
        assert doctor.name in seen
        with unit_of_work(engine) as connection:
            connection.exec_driver_sql(
                "update grants set until = now() where source = 'break-glass'"
            )
        as_person(client, doctor)
        grants = client.get("/api/v1/session").json()["grants"]
        assert grants == [{"role": "haematologist", "site": "north"}]


@pytest.mark.parametrize(
    ("roles", "site", "reason", "sentence"),
    [
        (("haematologist",), "south", "because", "Say why in 10 to 500 letters"),
        (("haematologist",), "South!", "a good long reason", "Name the site as the lists do"),
        (("operator",), "south", "a good long reason", "Only technologists and haematologists"),
    ],
)
def test_the_glass_holds_without_a_reason_a_site_or_a_role(
    anybody, database_url: str, roles, site: str, reason: str, sentence: str
):
    as_person(anybody, logged_in(database_url, roles=roles, site="north"))
    answer = break_glass(anybody, site, reason)
    assert answer.status_code == 422
    assert sentence in answer.text


def test_whoever_logs_out_elsewhere_stays_here(client: TestClient, person: LoggedIn):
    engine = client.app.state.context.authenticator.engine  # type: ignore[attr-defined]
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "insert into sessions (token_sha256, person_id, method, ends_at)"
            " select 'x', person_id, 'oidc', ends_at from sessions"
        )
    client.post("/account/end-other-sessions")
    with unit_of_work(engine) as connection:
        left = connection.exec_driver_sql("select count(*) from sessions").scalar_one()
    assert left == 1
    assert client.get("/api/v1/session").json()["name"] == person.name


def test_log_ins_log_outs_and_second_factors_are_on_record(anybody, database_url: str):
    password, totp = with_second_factor(anybody, database_url)
    assert log_in(anybody, "ada", password, totp.now()).status_code == 303
    token = fields_of(anybody.get("/account").text)["csrf"]
    assert anybody.post("/log-out", data={"csrf": token}).status_code == 200
    engine = anybody.app.state.context.authenticator.engine
    with unit_of_work(engine) as connection:
        person_id = connection.exec_driver_sql("select person_id from people").scalar_one()
    assert on_record(engine, person_id) == [
        ("log-in", "person", None, "password"),
        ("begin-second-factor", "person", None, ""),
        ("log-in", "person", None, "totp"),
        ("log-out", "person", None, ""),
    ]


def on_record(engine, actor) -> list[tuple[str, str, str | None, str]]:
    """Return what somebody did, as the audit has it: action, subject, site, detail."""
    wanted = "select action, subject, site, detail from audit_events where actor = %s"
    with unit_of_work(engine) as connection:
        rows = connection.exec_driver_sql(f"{wanted} order by event_id", (str(actor),))
        return [tuple(row) for row in rows]
