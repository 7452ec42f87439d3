"""`hemaline-cloud ingest` lives through restarts of PostgreSQL under load, by itself."""

import random
import signal
import sys
import threading
import time

import pytest

from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.captures import SCOPE, Slide
from parts.folders import readable_folder
from parts.postgres import PostgresPart
from parts.sender import Sender
from parts.waiting import LONG_S

RESTARTS = 20
FRAMES = 400


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


def test_it_lives_through_twenty_restarts_and_each_frame_is_in_one_state(
    broker, database_url, objects, own_postgres, ledger, tmp_path
):
    port = free_port()
    environment = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(objects.path),
        "HEMALINE_BROKER__PORT": str(broker.settings.port),
        "HEMALINE_HEALTH__PORT": str(port),
    }
    command = [sys.executable, "-m", "hemaline_cloud", "ingest"]
    child = Child("ingest", command, tmp_path / "ingest.log", environment)
    slide = Slide()
    frames = [slide.field(n, count=1) if n % 4 else slide.rejected(n) for n in range(FRAMES)]
    over = threading.Event()

    def load(sender):
        for frame in frames:
            sender.send(frame)
            over.wait(0.05)

    try:
        child.wait_ready(lambda: http_ok(port, "/readyz"), timeout_s=LONG_S, port=port)
        with Sender(broker.settings, SCOPE, resend_s=5) as sender:
            sending = threading.Thread(target=load, args=[sender])
            sending.start()
            chance = random.Random(20)
            for number in range(RESTARTS):
                cut(own_postgres, number)
                time.sleep(chance.uniform(0, 0.5))
                assert child.exit_status is None, child.log_tail()
            over.set()
            sending.join()
            sender.wait_for_receipts(FRAMES)
    finally:
        child.stop()
    assert child.exit_status == 0, child.log_tail()
    expected = {f.message_id: "rejected" if f.kind == "rejected" else "pending" for f in frames}
    assert ledger.states() == expected
    assert ledger.reasons() == []
    assert ledger.rows("select count(*) from work") == [(FRAMES * 3 // 4,)]


def cut(server, number):
    """A crash and an orderly restart by turns; each fifth time the server is away for a while."""
    server.end_at_once(signal.SIGQUIT if number % 2 else signal.SIGINT)
    if number % 5 == 4:
        time.sleep(3)
    server.start()
