"""Worker and API live through every restart of PostgreSQL, under load and without a supervisor."""

import contextlib
import itertools
import signal
import threading
import time
import urllib.request
from collections import deque
from subprocess import DEVNULL

import pytest

from hemaline_cloud.objects.store import open_store
from hemaline_local.ports import http_ok
from hemaline_shared.errors import TransientError
from parts.api import api_process, api_settings  # noqa: F401 - fixtures
from parts.folders import readable_folder
from parts.people import logged_in
from parts.postgres import PostgresPart
from parts.queued import PREDICTIONS, STATES, queue_field, smooth_crops
from parts.waiting import LONG_S

_RESTARTS = 20
_AWAY_S = (0.0, 0.0, 0.0, 0.0, 4.0)
_HOW = (signal.SIGQUIT, signal.SIGINT)


@pytest.fixture
def own_postgres():
    """A server of this test alone, since it is ended again and again."""
    with readable_folder() as folder:
        part = PostgresPart(folder / "postgres")
        part.start()
        yield part
        part.stop()


@pytest.fixture
def database_url(own_postgres):
    return own_postgres.create_migrated()


class _Load:
    """Queues fields all the time; what the server did not surely take is queued anew."""

    def __init__(self, engine, store):
        self._engine = engine
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.queued = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        for seed in itertools.count():
            if self._ended.wait(0.05):
                return
            with contextlib.suppress(TransientError):
                queue_field(self._engine, self._store, smooth_crops(2, seed))
                self.queued += 1


def _changes_told(address, listener):
    """Listen to the API's stream as one page that stays open; return what is told, as it comes."""
    told = deque()
    events = urllib.request.Request(f"{address}/api/v1/events", headers=listener.bearer)

    def read():
        with urllib.request.urlopen(events, timeout=LONG_S) as stream:
            for line in stream:
                if line.startswith(b"event: "):
                    told.append(line[7:].decode().strip())

    threading.Thread(target=read, daemon=True).start()
    return told


def test_worker_and_api_live_through_restarts_under_load(
    own_postgres,
    engine,
    settings,
    process,
    query,
    until,
    database_url,
    api_process,  # noqa: F811
):
    told = _changes_told(api_process.address, logged_in(database_url))
    worker = process(stderr=DEVNULL)
    port = int(api_process.address.rsplit(":", 1)[1])
    with _Load(engine, open_store(settings.objects)) as load:
        for number in range(_RESTARTS):
            queued = load.queued
            until(lambda queued=queued: load.queued > queued + 2)
            own_postgres.end_at_once(_HOW[number % 2])
            time.sleep(_AWAY_S[number % 5])
            own_postgres.start()
            assert worker.poll() is None
    until(lambda: query("select count(*) from work") == [(0,)])
    assert worker.poll() is None
    ((state, reason, fields),) = query(STATES)
    assert (state, reason) == ("result", None)
    assert fields >= load.queued
    assert query(PREDICTIONS) == [(2 * fields, 2 * fields)]
    until(lambda: http_ok(port, "/readyz"))
    heard = told.count("slide")
    queue_field(engine, open_store(settings.objects), smooth_crops(1))
    until(lambda: told.count("slide") > heard)
    worker.terminate()
    assert worker.wait(timeout=LONG_S) == 0
