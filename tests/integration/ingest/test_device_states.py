"""Devices that would lie about themselves: a real agent and broker, and the word that is shown."""

import shutil
import subprocess
import sys

import cv2
import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.reading.device_history import changes_of_device
from hemaline_cloud.database.reading.devices import list_devices
from hemaline_cloud.fleet.attention import TWICE_FROM
from hemaline_cloud.principal import service
from parts.edge_frames import smear
from parts.edge_process import EdgeProcess, environment
from parts.waiting import wait_until

PERIOD_S = 2.0
EVERYTHING = "topic readwrite hemaline/#\n"
NO_RECEIPTS = "topic write hemaline/#\n" + "".join(
    f"topic read hemaline/v1/+/+/{channel}\n"
    for channel in ("field", "status", "telemetry", "upload/request")
)
NOTHING_DELIVERED = "topic write hemaline/#\n"
HANGING_CAMERA = """
import time
from hemaline_edge.capture.folder import FolderSource
from hemaline_edge.cli import app
FolderSource.read = lambda self, timeout_s: time.sleep(1e6)
app()
"""


class Microscope:
    """An agent that watches a folder, and what the cloud says of it."""

    def __init__(self, folder, broker, engine):
        self.spool, self.watched, self._folder = folder / "spool", folder / "watched", folder
        (self.watched / "slide").mkdir(parents=True)
        self.broker, self.engine = broker, engine
        self.env = environment(self.spool, self.watched, broker.settings, TELEMETRY_S=str(PERIOD_S))
        self.running = None

    def start(self):
        self.running = EdgeProcess(self.env, self._folder / "edge.log", "run")

    def save(self, name, seed):
        """Let the microscope's software save a picture."""
        waiting = self._folder / f"{name}.png"
        assert cv2.imwrite(str(waiting), smear(seed, 320, 240))
        waiting.rename(self.watched / "slide" / waiting.name)

    @property
    def device(self):
        with unit_of_work(self.engine) as connection:
            devices = list_devices(connection, limit=2)
        return devices[0] if devices else None

    def wait_for(self, word, reason=None):
        def is_shown():
            device = self.device
            return device and device.state.word == word and reason in {None, device.state.reason}

        wait_until(is_shown)


@pytest.fixture
def access(broker, tmp_path):
    """Whom the broker delivers what; a change holds from the next message on."""
    acl = tmp_path / "acl"

    def change(rules):
        acl.write_text(rules)
        subprocess.run(["kill", "-HUP", str(broker.pid)], check=True)

    acl.write_text(EVERYTHING)
    broker.stop()
    broker.config_extra = f"acl_file {acl}"
    broker.start()
    return change


@pytest.fixture
def microscope(tmp_path, broker, ingest, database_url):
    engine = make_engine(database_url, principal=service("tests"))
    made = Microscope(tmp_path / "microscope", broker, engine)
    yield made
    if made.running:
        made.running.kill()
    engine.dispose()


@pytest.fixture
def working(access, microscope):
    """A microscope that has captured, and is known to."""
    microscope.start()
    microscope.save("first", 1)
    microscope.wait_for("working")
    return microscope


def test_a_clean_stop_is_told_as_one_and_the_last_telemetry_stays(working):
    assert working.running.terminate() == 0
    working.wait_for("stopped", "ended-by-itself")
    assert working.device.told["captured"] == 1
    assert working.device.telemetry_at <= working.device.status_at


def test_an_agent_that_is_killed_is_lost(working):
    working.running.kill()
    working.wait_for("lost", "connection-broke")


def test_an_agent_that_went_while_the_broker_was_away_is_silent(working, broker):
    broker.kill()
    working.running.kill()
    broker.start()
    working.wait_for("silent", "no-telemetry")
    assert working.device.connection == "connected", "nobody told otherwise"


def test_an_emptied_spool_counts_its_sessions_anew_and_the_device_is_there(working):
    for _ in range(2):
        working.running.terminate()
        working.start()
        wait_until(lambda: working.device.online)
    before = working.device.told["session"]
    working.running.terminate()
    working.wait_for("stopped")
    working.spool.rename(working.spool.with_name("aside"))
    working.start()
    working.save("second", 2)
    working.wait_for("working")
    wait_until(lambda: working.device.told["session"] < before)


def test_a_copied_disk_is_told_as_two_agents_with_both_addresses(working, tmp_path):
    working.running.terminate()
    working.wait_for("stopped")
    copied = Microscope(tmp_path / "copy", working.broker, working.engine)
    shutil.copytree(working.spool, copied.spool)
    working.start()
    wait_until(lambda: working.device.online)
    copied.start()
    try:
        wait_until(lambda: working.device.condition({}).twins >= TWICE_FROM)
    finally:
        copied.running.terminate()
    with unit_of_work(working.engine) as connection:
        changes = changes_of_device(connection, *working.device.key, limit=50)
    (told,) = [change.detail for change in changes if change.kind == "another-agent"]
    assert told == "127.0.0.1 and 127.0.0.1"


def test_the_same_picture_again_and_again_is_no_capturing(working):
    for number in range(4):
        working.save(f"again-{number}", 7)
    working.wait_for("not-capturing", "useless-pictures")
    working.save("another", 8)
    working.wait_for("working")


def test_a_camera_that_hangs_is_no_capturing(access, microscope):
    microscope.running = subprocess.Popen(
        [sys.executable, "-c", HANGING_CAMERA, "run"],
        env=microscope.env,
        stderr=subprocess.DEVNULL,
    )
    microscope.wait_for("not-capturing", "capture-fails")
    microscope.running.kill()
    microscope.running.wait()
    microscope.running = None


def test_a_device_that_hears_no_receipt_is_silent(working, access):
    access(NO_RECEIPTS)
    working.save("second", 2)
    working.wait_for("silent", "no-receipts")
    access(EVERYTHING)
    working.wait_for("working")


def test_a_device_of_which_nothing_is_delivered_is_silent(working, access):
    access(NOTHING_DELIVERED)
    working.wait_for("silent", "no-telemetry")


@pytest.mark.parametrize("year", [1970, 2036])
def test_a_clock_that_is_years_off_changes_no_word(access, microscope, year):
    moved = f"""
import datetime, sys
class Moved(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return super().now(zone).replace(year={year})
datetime.datetime = Moved
from hemaline_edge.cli import app
app()
"""
    microscope.running = subprocess.Popen(
        [sys.executable, "-c", moved, "run"], env=microscope.env, stderr=subprocess.DEVNULL
    )
    microscope.save("first", 1)
    microscope.wait_for("working")
    assert abs(microscope.device.clock_ahead_s) > 3e8
    microscope.running.terminate()
    microscope.running.wait()
    microscope.wait_for("stopped")
    microscope.running = None
