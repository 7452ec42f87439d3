"""A command is done once, whatever comes twice, too late or in the middle of a power cut."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from hemaline_edge.device_commands import commanding, doing, kept
from hemaline_edge.device_commands.commanding import Commanding
from hemaline_edge.device_commands.decommissioning import Decommissioning, allow_again
from hemaline_edge.device_commands.doing import CommandedDevice, Ending, Parts
from hemaline_edge.device_commands.kept import COMMANDS_FILE
from hemaline_edge.device_commands.log_lines import LogLines
from hemaline_edge.settings import EdgeSettings
from hemaline_shared.barcodes import folded
from hemaline_shared.device_commands import LONGEST_LINE, MOST_LINES, Command
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import UploadGrant, encode
from parts.edge_frames import new_field, open_spool
from parts.killing import killed_after

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCOPE = "camera"


class Device:
    """The agent's parts around the commands, on a real spool."""

    def __init__(self, directory):
        self.directory, self.spool = directory, open_spool(directory)
        self.now, self.clock_problem, self.is_away = NOON, None, False
        self.told, self.endings, self.flushed, self.turns = [], [], 0, 0.0
        self.log = LogLines()
        parts = Parts(
            spool=directory,
            contents=self.spool.contents,
            read_name=folded,
            started_slide=lambda: self.spool.started_slide(SCOPE),
            start_slide=self._start_slide,
            end_slide=self.spool.end_slide,
            name_slide=self.spool.name_slide,
            flush=self._flush,
            end=self.endings.append,
            log=self.log,
        )
        self.commands = Commanding(
            directory,
            CommandedDevice(parts),
            lambda: self.clock_problem,
            self._tell,
            lambda: self.now,
        )
        self.commands.resume()
        self.passes(0)

    def started_anew(self):
        self.spool.close()
        return Device(self.directory)

    def _start_slide(self, name, priority):
        return self.spool.start_slide(self.spool.open_slide(SCOPE, name, priority), priority)

    def _flush(self):
        self.flushed += 1

    def _tell(self, result):
        if self.is_away:
            raise TransientError("not-connected", "away")
        self.told.append(result)

    def hears(self, *commands):
        for command in commands:
            self.commands.hear(command if isinstance(command, bytes) else encode(command))
        self.passes(1)
        return self.told[-1] if self.told else None

    def passes(self, seconds):
        self.turns += seconds
        self.commands.turn(self.turns)

    @property
    def outcomes(self):
        return [(result.outcome, result.reason) for result in self.told]

    @property
    def open_name(self):
        slide = self.spool.started_slide(SCOPE)
        return slide.label if slide else None


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def command(verb, sent_at=NOON, lasts=timedelta(hours=1), **arguments):
    return Command(
        command_id=new_id(),
        verb=verb,
        arguments=arguments,
        asked_by="Ada",
        sent_at=sent_at,
        expires_at=sent_at + lasts,
    )


def asked_for_more(**more):
    return command("more-fields", slide_id=str(new_id()), reason="few-cells", cells=60, **more)


def test_a_slide_is_started_named_and_ended_from_afar(device):
    assert device.hears(command("start-slide", slide_name="ab 1", urgent=True)).outcome == "done"
    assert (device.open_name, device.spool.started_slide(SCOPE).priority) == ("AB1", "stat")
    assert device.hears(command("start-slide", slide_name="B2")).reason == "slide-open"
    assert device.hears(command("name-slide", slide_name="C3")).outcome == "done"
    assert device.open_name == "C3"
    assert device.hears(command("end-slide")).outcome == "done"
    assert device.spool.started_slide(SCOPE).ending_at


def test_there_is_no_slide_to_end_or_to_name(device):
    device.hears(command("end-slide"), command("name-slide", slide_name="A1"))
    assert device.outcomes == [("refused", "no-such-slide")] * 2


def test_what_comes_again_is_answered_as_before_and_not_done_again(device):
    flush = command("flush")
    first = device.hears(flush)
    assert device.hears(flush, flush) == first
    assert (device.flushed, len(device.told)) == (1, 2)
    again = device.started_anew()
    assert again.hears(flush) == first
    assert again.flushed == 0


def test_what_was_not_told_is_told_when_somebody_hears(device):
    device.is_away = True
    device.hears(command("flush"))
    device.is_away = False
    device.passes(1)
    assert device.outcomes == [("done", None)]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (command("format-disk"), "unknown-command"),
        (command("flush", now=True), "invalid-arguments"),
        (command("start-slide"), "invalid-arguments"),
        (command("start-slide", slide_name="\n"), "invalid-arguments"),
        (command("more-fields", slide_id="x", reason="few-cells"), "invalid-arguments"),
        (command("more-fields", slide_id=str(new_id()), reason="Mr Smith"), "invalid-arguments"),
    ],
)
def test_only_what_is_on_the_list_is_done_and_only_with_what_belongs_to_it(device, asked, reason):
    assert device.hears(asked).reason == reason
    assert device.outcomes == [("refused", reason)]


def test_what_is_no_command_is_passed_over(device):
    device.hears(b"", b"\xff", encode(UploadGrant(message_id=new_id(), refusal="no")))
    assert device.told == []


def test_what_comes_too_late_is_not_done(device):
    device.now = NOON + timedelta(hours=1)
    assert device.hears(command("flush")).outcome == "expired"
    assert device.flushed == 0


def test_a_clock_that_is_behind_revives_nothing_once_the_cloud_has_told_the_time(device):
    device.now = NOON - timedelta(days=3)
    old = command("flush", NOON - timedelta(days=1))
    device.hears(command("collect-logs"))
    late = device.started_anew()
    late.now = NOON - timedelta(days=3)
    assert late.hears(old).outcome == "expired"
    assert late.flushed == 0


def test_a_clock_that_cannot_be_right_is_told_and_nothing_is_done(device):
    device.clock_problem = "this device's clock says 1970"
    assert device.hears(command("flush")).reason == "clock-impossible"
    assert "1970" in device.told[-1].detail
    assert device.flushed == 0


def test_a_request_waits_for_the_person_at_the_microscope(device):
    asked = asked_for_more()
    assert device.hears(asked).outcome == "received"
    device = device.started_anew()  # which forgets none
    assert [record.command for record in device.commands.requests()] == [asked]
    device.commands.answer(asked.command_id, "seen")
    device.commands.answer(asked.command_id, "done")
    device.passes(1)
    assert device.told[-1].outcome == "done"
    assert device.commands.requests() == []
    with pytest.raises(PermanentError, match="not asked for any more"):
        device.commands.answer(asked.command_id, "done")


def test_a_request_that_nobody_answers_expires(device):
    device.hears(asked_for_more())
    device.now += timedelta(hours=2)
    device.passes(1)
    assert device.outcomes[-1] == ("expired", "expired")
    assert device.commands.requests() == []


def test_more_requests_than_anybody_reads_are_refused(device):
    device.hears(*(asked_for_more() for _ in range(51)))
    assert device.outcomes.count(("received", None)) == 50
    assert ("refused", "too-many") in device.outcomes


def test_a_full_disk_keeps_a_command_from_being_begun_until_there_is_room(device, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(kept, "write_durably", _no_room)
        device.hears(command("flush"))
        device.passes(20)
        assert (device.told, device.flushed) == ([], 0)
    device.passes(20)
    assert (device.outcomes, device.flushed) == ([("done", None)], 1)


def test_an_end_that_cannot_be_written_down_is_told_once_it_is(device, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(device, "_flush", lambda: full.setattr(kept, "write_durably", _no_room))
        flush = command("flush")
        device.commands._device._parts = replace(
            device.commands._device._parts, flush=device._flush
        )
        assert device.hears(flush).outcome == "received"
    device.passes(20)
    assert device.outcomes[-1] == ("done", None)


def _no_room(*_):
    raise OSError(28, "No space left on device")


def test_the_log_is_told_without_what_exceptions_say(device):
    record = logging.LogRecord("edge", logging.INFO, "", 1, "line %d\nand", (7,), None)
    device.log.handle(record)
    told = (OSError, OSError("/images/Jane Doe"), None)
    device.log.handle(logging.LogRecord("edge", logging.ERROR, "", 1, "x" * 500, (), told))
    lines = device.hears(command("collect-logs")).lines
    assert lines[0].endswith("INFO edge: line 7 and")
    assert len(lines[1]) == LONGEST_LINE
    assert "Doe" not in "".join(lines)
    for _ in range(2 * MOST_LINES):
        device.log.handle(record)
    assert len(device.hears(command("collect-logs")).lines) == MOST_LINES


def test_a_new_start_is_the_end_of_a_restart(device):
    assert device.hears(command("restart")).outcome == "received"
    assert device.endings == [Ending.NEW_START]
    assert device.started_anew().outcomes == [("done", None)]


def test_nothing_is_wiped_that_still_waits_for_the_cloud_unless_somebody_says_so(device):
    device.spool.put(new_field(device.spool.open_slide(SCOPE, "A")))
    assert device.hears(command("decommission")).reason == "messages-wait"
    assert device.endings == []
    device.hears(command("decommission", discard_waiting=True))
    assert device.endings == [Ending.NEW_START]


def empty(directory, monkeypatch, **arguments):
    """Begin to decommission a device with a key; return what empties it, and the key."""
    key = directory.parent / "device.key"
    key.write_text("secret")
    settings = EdgeSettings(
        site="lab",
        device="scope-1",
        source={"kind": "simulator"},
        spool={"path": directory},
        broker={
            "ca": directory.parent / "ca.crt",
            "key": key,
            "certificate": directory.parent / "device.crt",
        },
    )
    device = Device(directory)
    device.hears(command("decommission", **arguments))
    told = []
    monkeypatch.setattr(
        Decommissioning, "_tell", lambda self: told.append((self._record.state, key.exists()))
    )
    return device, settings, key, told


def test_a_decommissioned_device_is_empty_has_no_key_and_does_not_start(tmp_path, monkeypatch):
    directory = tmp_path / "spool"
    device, settings, key, told = empty(directory, monkeypatch)
    device.spool.close()
    with pytest.raises(PermanentError, match="decommissioned by Ada"):
        Decommissioning(settings).run()
    assert told == [("done", True)], "without its key it could tell nothing"
    assert not key.exists()
    assert [path.name for path in directory.iterdir()] == [COMMANDS_FILE]
    with pytest.raises(PermanentError, match="enrol it anew"):
        Decommissioning(settings)
    allow_again(settings)
    assert not Decommissioning(settings).is_due


def test_what_came_to_wait_while_the_agent_ended_is_not_lost(tmp_path, monkeypatch):
    directory = tmp_path / "spool"
    device, settings, key, told = empty(directory, monkeypatch)
    device.spool.put(new_field(device.spool.open_slide(SCOPE, "A")))
    device.spool.close()
    Decommissioning(settings).run()
    assert (told, key.exists()) == ([], True)
    assert not Decommissioning(settings).is_due
    assert Device(directory).spool.contents().messages == 1


def test_old_commands_are_forgotten_once_they_would_be_refused_anyway(device, tmp_path):
    old = command("flush")
    device.hears(old)
    device.now += timedelta(days=3)
    device.hears(command("flush", device.now))
    assert str(old.command_id) not in (tmp_path / COMMANDS_FILE).read_text()
    assert device.hears(old).outcome == "expired"


def test_a_damaged_file_keeps_no_agent_from_its_work(device, tmp_path):
    (tmp_path / COMMANDS_FILE).write_bytes(b'{"records": [')
    assert device.started_anew().hears(command("flush")).outcome == "done"


@pytest.mark.parametrize("verb", ["start-slide", "end-slide"])
def test_kill_9_anywhere_leaves_it_done_once(tmp_path, verb):
    states = set()
    for lines in range(1, 1000, 7):  # each costs two spools
        directory = tmp_path / str(lines)
        asked = _before(directory, verb)
        ended = killed_after(lines, (commanding, doing, kept), partial(_act, directory, asked))
        after = Device(directory)
        states.add(after.told[-1].outcome if after.told else "not begun")
        after.hears(asked)  # it is sent until its result is heard
        assert after.told[-1].outcome == "done"
        slides = after.spool.slides()
        assert [(slide.label, slide.started) for slide in slides] == [("A1", True)]
        assert (slides[0].ending_at is not None) == (verb == "end-slide")
        after.spool.close()
        if ended:
            break
    assert states == {"not begun", "done"}
    assert lines > 40


def _before(directory, verb):
    device = Device(directory)
    if verb == "end-slide":
        device.hears(command("start-slide", slide_name="A1"))
    device.spool.close()
    return command(verb) if verb == "end-slide" else command(verb, slide_name="A1")


def _act(directory, asked):
    Device(directory).hears(asked)
