"""The slide as JSON, over a bare route: `python tests/benchmarks/reads.py`.

Ours is `GET /api/v1/slides/{id}` of `hemaline-cloud api`: whose token it is, query, the labels of
people, the audit's event, and the answer as the API describes it. The baseline is a FastAPI route
that runs the same query and the same insertion into the audit by psycopg, in one transaction, and
returns the row. Both are processes of their own and read the same database, which syncs its disk.
Eight clients ask one and then the other, in turn, so that a busy machine slows both.
"""

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg.rows import dict_row
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

sys.path.insert(0, str(Path(__file__).parents[1]))

from factories import Factory
from hemaline_cloud.database.reading.slides import ONE_SLIDE
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import ApiSettings, DirectoryObjects
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.ids import new_id
from parts.people import logged_in
from parts.postgres import PostgresPart
from parts.waiting import LONG_S

GOAL = 0.5
_SLIDES = 50
_CLIENTS = 8
_ROUNDS = 7
_ROUND_S = 3.0
_PRINCIPAL = "-c hemaline.sites=* -c hemaline.principal=service:bench"
_INSERT = """
insert into audit_events (event_id, actor, actor_name, action, subject, subject_id, slide_id, site,
  detail)
values (%s, 'bare', 'bare', 'read', 'slide', %s, %s, 'north', '')
"""


def measure() -> dict[str, Any]:
    """Return requests a second of either, as the median of the rounds."""
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
        postgres = PostgresPart(folder / "postgres", durable=True)
        postgres.start()
        try:
            return _compare(folder, postgres.create_migrated())
        finally:
            postgres.stop()


def _compare(folder: Path, database_url: str) -> dict[str, Any]:
    slides = _fill(folder, database_url)
    ours, bare = _start(folder, database_url)
    token = logged_in(database_url).bearer
    paths = {
        ours: [f"/api/v1/slides/{slide}" for slide in slides],
        bare: [f"/slides/{slide}" for slide in slides],
    }
    rates: dict[int, list[float]] = {ours[1]: [], bare[1]: []}
    try:
        for turn in range(_ROUNDS + 1):
            for server, asked in paths.items():
                rate = _rate(server[1], asked, token)
                if turn:  # the first round warms connections and caches
                    rates[server[1]].append(rate)
    finally:
        ours[0].stop()
        bare[0].stop()
    said, baseline = (statistics.median(rates[server[1]]) for server in (ours, bare))
    return {
        "ours": said,
        "baseline": baseline,
        "ratio": said / baseline,
        "goal": GOAL,
        "unit": "reads/s",
    }


def _fill(folder: Path, database_url: str) -> list[UUID]:
    settings = ApiSettings(
        database_url=SecretStr(database_url), objects=DirectoryObjects(path=folder / "objects")
    )
    factory = Factory(database_url, open_store(settings.objects))
    slides = []
    for _ in range(_SLIDES):
        slide = factory.slide()
        factory.field(slide)
        factory.trained_result(slide)
        slides.append(slide.slide_id)
    factory.close()
    return slides


def _start(folder: Path, database_url: str) -> tuple[tuple[Child, int], tuple[Child, int]]:
    env = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(folder / "objects"),
        "HEMALINE_REQUESTS_PER_MINUTE": str(10**9),
    }
    started = []
    for name, command in (
        ("ours", [sys.executable, "-m", "hemaline_cloud", "api"]),
        ("bare", [sys.executable, __file__]),
    ):
        port = free_port()
        child = Child(name, command, folder / f"{name}.log", env | {"HEMALINE_PORT": str(port)})
        child.wait_ready(lambda port=port: http_ok(port, "/readyz"), timeout_s=LONG_S, port=port)
        started.append((child, port))
    return started[0], started[1]


def _rate(port: int, paths: Sequence[str], headers: dict[str, str]) -> float:
    """Return the requests a second that the clients get answered."""
    ends_at = time.monotonic() + _ROUND_S
    with ThreadPoolExecutor(_CLIENTS) as pool:
        counts = list(pool.map(lambda _: _ask(port, paths, headers, ends_at), range(_CLIENTS)))
    return sum(counts) / _ROUND_S


def _ask(port: int, paths: Sequence[str], headers: dict[str, str], ends_at: float) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG_S)
    answered = 0
    while time.monotonic() < ends_at:
        connection.request("GET", paths[answered % len(paths)], headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        answered += 1
    connection.close()
    return answered


def _bare(database_url: str) -> FastAPI:
    statement = str(ONE_SLIDE.compile(dialect=postgresql.psycopg.dialect()))
    own = threading.local()
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {}

    @app.get("/slides/{slide_id}")
    def slide(slide_id: UUID) -> dict[str, Any]:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(
                database_url, row_factory=dict_row, options=_PRINCIPAL, prepare_threshold=None
            )
        with own.connection.transaction():
            row: dict[str, Any] = own.connection.execute(statement, {"slide": slide_id}).fetchone()
            own.connection.execute(_INSERT, (new_id(), slide_id, slide_id))
        return row

    return app


if __name__ == "__main__":
    if "HEMALINE_PORT" in os.environ:
        uvicorn.run(
            _bare(os.environ["HEMALINE_DATABASE_URL"]),
            port=int(os.environ["HEMALINE_PORT"]),
            access_log=False,
            log_level="warning",
        )
    else:
        print(json.dumps(measure(), indent=2))  # noqa: T201
