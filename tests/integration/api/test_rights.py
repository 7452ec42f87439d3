"""What a role at a site allows, and what wants a log-in of this minute."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from hemaline_cloud.api.context import Context
from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.people.rights import Right
from hemaline_cloud.settings import ApiSettings
from parts.people import EVERY_ROLE, LoggedIn, as_person, let, logged_in


@pytest.fixture
def signing(api_settings: ApiSettings) -> Iterator[TestClient]:
    """An API with a route that signs at a site."""
    app = make_app(api_settings)

    @app.post("/sign/{site}")
    def sign(context: Context, site: str) -> dict[str, str]:
        context.require(Right.SIGN, site, freshly=True)
        return {"signed_by": context.principal.name}

    with TestClient(app) as client:
        yield client


def sign(client: TestClient, who: LoggedIn, site: str):
    return as_person(client, who).post(f"/sign/{site}")


@pytest.mark.parametrize("role", EVERY_ROLE)
def test_only_haematologists_of_the_site_sign(signing, database_url: str, role):
    person = logged_in(database_url, (role,), "north")
    allowed = 200 if role == "haematologist" else 403
    assert sign(signing, person, "north").status_code == allowed
    elsewhere = sign(signing, person, "south")
    assert elsewhere.status_code == 403
    assert elsewhere.json()["detail"] == "Only haematologists sign. Your roles at south: none."


def test_a_role_counts_at_its_own_site_alone(signing, database_url: str):
    person = logged_in(database_url, (), "north")
    let(database_url, person, [("haematologist", "north"), ("technologist", "south")])
    assert sign(signing, person, "north").json() == {"signed_by": person.full_name}
    refused = sign(signing, person, "south").json()
    assert refused["reason"] == "no-permission"
    assert "Your roles at south: technologist." in refused["detail"]


def test_before_signing_somebody_shows_once_more_that_it_is_they(signing, database_url: str):
    person = logged_in(database_url, ("haematologist",), "north")
    log_in_was(signing, "4 minutes")
    assert sign(signing, person, "north").status_code == 200
    log_in_was(signing, "6 minutes")
    refused = sign(signing, person, "north")
    assert (refused.status_code, refused.json()["reason"]) == (401, "log-in-again")


def test_no_token_signs(signing, database_url: str):
    person = logged_in(database_url, ("haematologist",), "north")
    refused = signing.post("/sign/north", headers=person.bearer)
    assert (refused.status_code, refused.json()["reason"]) == (403, "person-needed")


def log_in_was(client: TestClient, ago: str) -> None:
    with unit_of_work(client.app.state.context.authenticator.engine) as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(
            f"update sessions set authenticated_at = now() - interval '{ago}'"
        )
