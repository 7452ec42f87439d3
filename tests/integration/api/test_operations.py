"""Health, metrics, and what happens while the database is away."""

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from factories import Factory
from hemaline_cloud.api.server import make_app
from hemaline_cloud.settings import ApiSettings
from parts.postgres import PostgresPart


def test_a_ready_process_says_so(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "problems": {}}


def test_metrics_count_requests_by_route_and_never_by_id(client, factory: Factory):
    slide = factory.slide()
    client.get(f"/api/v1/slides/{slide.slide_id}")
    text = client.get("/metrics").text
    assert 'route="/api/v1/slides/{slide_id}",status="200"' in text
    assert str(slide.slide_id) not in text


def test_metrics_answer_where_prometheus_asks_without_a_detour(client):
    answer = client.get("/metrics", follow_redirects=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_database_that_is_away_is_a_passing_problem(
    client, factory: Factory, postgres: PostgresPart
):
    slide = factory.slide()
    address = f"/api/v1/slides/{slide.slide_id}"
    factory.close()
    postgres.stop()
    try:
        answer = client.get(address)
        ready = client.get("/readyz")
        page = client.get("/", headers={"Accept": "text/html"})
        alive = client.get("/healthz")
    finally:
        postgres.start()
    assert (answer.status_code, answer.json()["reason"]) == (503, "database-unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert (ready.status_code, list(ready.json()["problems"])) == (503, ["database"])
    assert page.status_code == 503
    assert "Nothing is lost" in page.text
    assert alive.status_code == 200
    assert client.get(address).status_code == 200


def test_a_database_without_tables_is_a_problem_that_says_what_to_run(
    empty_database_url: str, api_settings: ApiSettings
):
    settings = api_settings.model_copy(update={"database_url": SecretStr(empty_database_url)})
    with TestClient(make_app(settings)) as client:
        answer = client.get("/api/v1/slides", headers={"Authorization": "Bearer any"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "database-not-migrated")
    assert "hemaline-cloud migrate" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/slides", 405), ("GET", "/static/x", 404)],
)
def test_what_no_route_answers_is_a_problem_too(client, method: str, address: str, status: int):
    answer = client.request(method, address)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_fault_of_ours_is_a_problem_that_tells_nothing_of_the_inside(
    client: TestClient, factory: Factory, caplog: pytest.LogCaptureFixture
):
    slide = factory.slide()
    factory.field(slide)
    factory.untrained_result(slide)
    factory.newer_result(slide, fields="many")
    answer = client.get("/api/v1/slides")
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal-error")
    assert "many" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "GET /api/v1/slides failed" in caplog.text


def test_the_api_cannot_write(client: TestClient):
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    with (
        engine.connect() as connection,
        pytest.raises(Exception, match="read-only transaction"),
    ):
        connection.exec_driver_sql("delete from slides")
