"""A desired configuration is applied and kept, or refused or undone with the reason; never half."""

import hashlib

import pytest

from hemaline_edge.configuration import configuring, kept
from hemaline_edge.configuration.configuring import Configuring, Surroundings
from hemaline_edge.configuration.fitting import check_disk
from hemaline_edge.configuration.kept import CONFIGURATION_FILE, read_kept
from hemaline_edge.quality import QualityLimits
from hemaline_edge.settings import EdgeSettings
from hemaline_shared.device_configuration import (
    DesiredConfiguration,
    DeviceConfiguration,
    QualityConfiguration,
    desired,
)
from hemaline_shared.errors import TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import UploadGrant, encode
from parts.killing import killed_after

MIB = 1024**2
FREE = 100 * MIB


class Device:
    """Stands for the agent around a configuration."""

    def __init__(self, directory, source=None):
        self.own = EdgeSettings(
            site="lab",
            device="scope-1",
            source=source or {"kind": "simulator"},
            spool={"path": directory, "quota_bytes": 50 * MIB, "disk_floor_bytes": 0},
        )
        self.directory, self.failing, self.reports = directory, set(), []
        self.is_away = False
        self.start()

    def start(self):
        around = Surroundings(
            self._apply,
            lambda settings: check_disk(settings, 0, FREE),
            lambda: tuple(self.failing),
            self._tell,
        )
        self.configuring = Configuring(self.directory, self.own, around)
        self.settings, self.now = self.configuring.settings, 0.0

    def _apply(self, settings):
        self.settings = settings

    def _tell(self, report):
        if self.is_away:
            raise TransientError("broker-away", "away")
        self.reports.append(report)

    def hears(self, message, seconds=10.0):
        self.configuring.hear(message if isinstance(message, bytes) else encode(message))
        self.passes(seconds)

    def passes(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self.configuring.turn(self.now)

    @property
    def outcomes(self):
        return [(report.version, report.outcome, report.in_force) for report in self.reports]


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def telemetry_each(seconds):
    return DeviceConfiguration(telemetry_s=seconds)


def test_what_proves_good_holds_through_new_starts(device):
    asked = DeviceConfiguration(
        telemetry_s=7,
        capture_interval_s=3,
        spool_quota_bytes=60 * MIB,
        log_level="warning",
        quality=QualityConfiguration(blur=2.5),
    )
    device.hears(desired(4, asked))
    assert device.outcomes == [(4, "applied", 4)]
    for _ in range(2):
        now = device.settings
        assert (now.telemetry_s, now.source.interval_s, now.log_level) == (7, 3, "warning")
        assert now.spool.quota_bytes == 60 * MIB
        assert now.quality == QualityLimits(blur=2.5)
        device.start()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ('{"telemetry":5}', "telemetry: there is no such setting"),
        ('{"telemetry_s":0}', "telemetry_s: Input should be greater than or equal to 1"),
        ("[]", "the document"),
        ("{", "the document"),
        (f'{{"spool_quota_bytes":{FREE + 1}}}', "the disk has room for"),
    ],
)
def test_what_the_device_cannot_do_is_refused_with_a_sentence(device, asked, why):
    device.hears(desired(1, telemetry_each(7)))
    sha256 = hashlib.sha256(asked.encode()).hexdigest()
    device.hears(DesiredConfiguration(version=2, sha256=sha256, content=asked))
    assert device.outcomes[-1] == (2, "refused", 1)
    assert why in device.reports[-1].detail
    assert device.settings.telemetry_s == 7


def test_a_folder_has_no_interval(tmp_path):
    device = Device(tmp_path / "spool", {"kind": "folder", "path": tmp_path / "images"})
    device.directory.mkdir()
    device.hears(desired(1, DeviceConfiguration(capture_interval_s=3)))
    assert device.outcomes == [(1, "refused", 0)]


def test_an_older_version_another_content_and_a_wrong_hash_are_refused(device):
    device.hears(desired(5, telemetry_each(7)))
    device.hears(desired(4, telemetry_each(9)))
    device.hears(desired(5, telemetry_each(9)))
    device.hears(desired(6, telemetry_each(9)).model_copy(update={"content": "{}"}))
    assert device.outcomes[1:] == [(4, "refused", 5), (5, "refused", 5), (6, "refused", 5)]
    assert device.settings.telemetry_s == 7


def test_what_is_no_configuration_is_passed_over(device):
    for rubbish in (b"", b"\xff", encode(UploadGrant(message_id=new_id(), refusal="no"))):
        device.hears(rubbish)
    assert device.reports == []


def test_a_configuration_under_which_the_broker_is_not_reached_is_undone_within_120_s(device):
    device.hears(desired(1, telemetry_each(7)))
    device.failing, device.is_away = {"broker"}, True
    device.hears(desired(2, telemetry_each(9)), 20)
    assert device.settings.telemetry_s == 9
    device.passes(101)
    assert device.settings.telemetry_s == 7
    device.failing, device.is_away = set(), False
    device.configuring.connected()
    device.passes(1)
    assert device.outcomes[-1] == (2, "reverted", 1)
    assert "broker" in device.reports[-1].detail


def test_what_was_wrong_before_blames_no_configuration(device):
    device.failing = {"clock"}
    device.hears(desired(1, telemetry_each(7)))
    assert device.outcomes == [(1, "applied", 1)]


def test_a_quota_that_stops_capture_is_undone(device):
    device.configuring.hear(encode(desired(1, DeviceConfiguration(spool_quota_bytes=MIB))))
    device.passes(1)
    device.failing = {"spool"}
    device.passes(125)
    assert device.outcomes == [(1, "reverted", 0)]
    assert device.settings == device.own


def test_the_same_again_is_answered_as_before_and_not_tried_again(device):
    device.hears(desired(1, telemetry_each(7)))
    device.start()
    device.hears(desired(1, telemetry_each(7)), 1)
    assert device.outcomes == [(1, "applied", 1)] * 2


def test_what_ends_the_agent_is_tried_three_times(device):
    for _ in range(3):
        device.hears(desired(1, telemetry_each(7)), 1)
        device.start()
        assert device.settings == device.own
    device.hears(desired(1, telemetry_each(7)))
    assert device.outcomes == [(1, "refused", 0)]


def test_a_damaged_file_leaves_the_devices_own_settings(device):
    device.hears(desired(1, telemetry_each(7)))
    (device.directory / CONFIGURATION_FILE).write_bytes(b'{"good": {"ver')
    device.start()
    assert device.settings == device.own
    device.hears(desired(1, telemetry_each(7)))
    assert device.settings.telemetry_s == 7


def test_what_cannot_be_written_down_does_not_hold(device, monkeypatch):
    device.configuring.hear(encode(desired(1, telemetry_each(7))))
    device.passes(1)
    monkeypatch.setattr(kept.os, "fsync", _no_room)
    device.passes(125)
    assert device.settings == device.own
    assert device.outcomes == [(1, "reverted", 0)]


def test_what_cannot_be_begun_is_begun_when_there_is_room_again(device, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(kept.os, "fsync", _no_room)
        device.hears(desired(1, telemetry_each(7)), 30)
        assert device.settings == device.own
    device.passes(20)
    assert device.outcomes == [(1, "applied", 1)]


def _no_room(_handle):
    raise OSError(28, "No space left on device")


def test_kill_9_at_every_other_line_leaves_the_old_or_the_new(tmp_path):
    old, new = desired(1, telemetry_each(7)), desired(2, telemetry_each(9))
    seen, lines = set(), 0
    for lines in range(1, 1000, 2):
        directory = tmp_path / str(lines)
        directory.mkdir()
        Device(directory).hears(old)
        ended = killed_after(
            lines, (configuring, kept), lambda d=directory: Device(d).hears(new, 7)
        )
        survivor = Device(directory)
        good = read_kept(directory).good
        assert good in (old, new)
        assert survivor.settings.telemetry_s == {1: 7, 2: 9}[good.version]
        seen.add(good.version)
        survivor.hears(new)  # it is retained, so it comes again
        assert survivor.settings.telemetry_s == 9
        if ended:
            break
    assert seen == {1, 2}
    assert lines > 50
