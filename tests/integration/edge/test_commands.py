"""What `hemaline-edge spool | capture-once | doctor` answer, and `run` to bad settings."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hemaline_edge.cli import app
from hemaline_shared.ids import accession
from parts.edge_frames import (
    OPENED,
    closing,
    new_rejection,
    open_spool,
    receipt_of,
    save,
    smear,
    spooled,
)


@pytest.fixture
def images(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def spool_directory(tmp_path):
    yield tmp_path / "spool"
    while OPENED:
        OPENED.pop()._database.close()


@pytest.fixture
def command(spool_directory, images, broker, monkeypatch):
    """Run a command in this process; settings of the environment as keywords."""
    monkeypatch.setattr("hemaline_edge.cli.set_up_logging", lambda _level, _form: None)
    images.mkdir()
    common = {
        "SITE": "lab",
        "DEVICE": "scope",
        "SPOOL__PATH": str(spool_directory),
        "SPOOL__DISK_FLOOR_BYTES": "0",
        "SOURCE__KIND": "folder",
        "SOURCE__PATH": str(images),
        "SOURCE__WATCH": "false",
        "SOURCE__GIVE_UP_S": "0",
        "BROKER__PORT": str(broker.settings.port),
    }

    def run(*arguments, columns="160", **more):
        own = {**common, **more}
        if own["SOURCE__KIND"] != "folder":
            for name in ("PATH", "WATCH", "GIVE_UP_S"):
                del own[f"SOURCE__{name}"]
        env = {f"HEMALINE_{name}": text for name, text in own.items()}
        return CliRunner().invoke(app, arguments, env={**env, "COLUMNS": columns})

    return run


def test_the_spool_command_lists_what_waits_the_slides_and_what_led_to_no_result(
    command, spool_directory
):
    spool = open_spool(spool_directory)
    spooled(spool, label="Jane Doe")
    spool.put(new_rejection(spool.open_slide("test", "Jane Doe")))
    spool.close_slide(closing(spool.open_slide("test", "Jane Doe")))
    listed = json.loads(command("spool", "--json").stdout)
    assert listed["waiting"]["frames"] == 2
    assert listed["counts"] == {
        "captured": 2,
        "rejected": 1,
        "quarantined": 0,
        "receipted": 0,
        "refused": 0,
    }
    (slide,) = listed["slides"]
    assert (slide["label"], slide["frames"], slide["rejected"]) == ("Jane Doe", 2, 1)
    assert listed["unused"][0]["origin"] == "blurred.jpg"
    text = command("spool").stdout
    assert "rejected: blurred.jpg: out-of-focus" in text
    assert "Jane Doe" in text


def test_a_terminal_of_80_columns_shows_accession_and_name_whole(command, spool_directory):
    spool = open_spool(spool_directory)
    name = "2026/Station 4/LAB-2026-0418 repeated after a new stain, second slide"
    slide = spool.open_slide("test", name, "stat")
    spool.put(new_rejection(slide))
    lines = command("spool", columns="80").stdout.splitlines()
    (row,) = (number for number, line in enumerate(lines) if accession(slide.slide_id) in line)
    assert "open, STAT" in lines[row]
    assert max(map(len, lines)) <= 80
    parts = [line.split("│")[2].strip() for line in lines[row:] if line.count("│") == 6]
    assert "".join(parts).replace(" ", "") == name.replace(" ", "")


def test_a_spool_that_was_never_used_is_told(command):
    result = command("spool")
    assert result.exit_code == 2
    assert "has the agent ever run" in result.stderr


def test_capture_once_says_that_a_frame_is_good(command, images):
    save(images / "a.png", smear())
    result = command("capture-once")
    assert result.exit_code == 0, result.stderr
    assert "a.png is good: " in result.stdout
    assert "1 frames wait" in command("doctor").stdout


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(b"no picture", "cannot be used"), (None, "is rejected: too-dark"), ("none", "no new frame")],
)
def test_capture_once_says_what_is_wrong(command, images, content, verdict):
    if content is None:
        save(images / "a.png", np.zeros((240, 320, 3), np.uint8))
    elif content != "none":
        (images / "a.png").write_bytes(content)
    result = command("capture-once", "--timeout", "20")
    assert result.exit_code == 1
    assert verdict in result.stdout


def test_the_doctor_is_content_when_all_is_well(command):
    result = command("doctor")
    assert result.exit_code == 0, result.stdout
    for what in ("settings", "names", "disk", "clock", "spool", "source", "broker"):
        assert f"✓ {what}: " in result.stdout


@pytest.mark.parametrize(
    ("sent", "told"), [("true", "leave this device"), ("false", "stay on this device")]
)
def test_the_doctor_says_whether_the_slides_own_names_leave_the_device(command, sent, told):
    assert told in command("doctor", SEND_SLIDE_NAMES=sent).stdout


@pytest.mark.parametrize("content", [None, "no certificate at all"])
@pytest.mark.parametrize("arguments", [["doctor"], ["run", "--time-limit", "20"]])
def test_a_certificate_that_cannot_be_used_is_one_sentence(command, tmp_path, content, arguments):
    if content:
        (tmp_path / "ca.pem").write_text(content)
    result = command(*arguments, BROKER__CA=str(tmp_path / "ca.pem"))
    (line,) = [line for line in result.output.splitlines() if "ca.pem" in line]
    assert line.startswith("✗ ")
    assert "certificate authority" in line
    assert "Traceback" not in result.output
    assert result.exit_code == (1 if arguments == ["doctor"] else 2)


def test_a_source_that_is_a_file_is_told_as_one(command, tmp_path):
    (tmp_path / "a.jpg").touch()
    result = command("run", "--time-limit", "20", SOURCE__PATH=str(tmp_path / "a.jpg"))
    assert result.exit_code == 2
    assert "which is a file" in result.stderr


def test_the_doctor_says_what_is_wrong_and_what_to_do(command, broker, tmp_path):
    broker.kill()
    result = command(
        "doctor",
        SOURCE__PATH=str(tmp_path / "nowhere"),
        SPOOL__DISK_FLOOR_BYTES=str(10**15),
    )
    assert result.exit_code == 1
    assert "✗ source: folder " in result.stdout
    assert "is the share mounted?" in result.stdout
    assert "✗ disk: " in result.stdout
    assert "make room" in result.stdout
    assert "✗ broker: " in result.stdout
    assert "check its address" in result.stdout


def test_the_doctor_finds_that_the_broker_refuses_us(command, broker, tmp_path):
    (tmp_path / "acl").write_text("topic read #\n")
    broker.stop()
    broker.config_extra = f"acl_file {tmp_path / 'acl'}\n"
    broker.start()
    result = command("doctor")
    assert result.exit_code == 1
    assert "Not authorized" in result.stdout
    assert "allow this device's user" in result.stdout


def test_the_doctor_finds_a_damaged_spool(command, spool_directory):
    spool = open_spool(spool_directory)
    for _ in range(30):
        spooled(spool)
    spool.close()
    index = spool_directory / "index.sqlite3"
    content = bytearray(index.read_bytes())
    content[8192 : len(content) - 4096] = bytes(len(content) - 12288)
    index.write_bytes(content)
    result = command("doctor")
    assert result.exit_code == 1
    assert "✗ spool: " in result.stdout
    assert "damaged" in result.stdout


def test_the_doctor_finds_a_clock_that_went_back(command, spool_directory):
    spool = open_spool(spool_directory)
    spooled(spool)
    with spool._database.transaction() as connection:
        connection.execute("update slides set last_frame_at = '2999-01-01T00:00:00+00:00'")
    assert "✗ clock: " in command("doctor").stdout


def test_the_doctor_says_when_a_camera_does_not_open(command):
    result = command("doctor", SOURCE__KIND="camera", SOURCE__DEVICE="rtsp://u:secret@127.0.0.1:9/")
    assert "✗ source: camera rtsp://127.0.0.1:9/ cannot be opened" in result.stdout
    assert "secret" not in result.stdout + result.stderr


def test_wrong_settings_are_told_in_lines_and_not_in_a_trace(command):
    result = command("run", SITE="Not A Name", SOURCE__SETTLE_S="-1")
    assert result.exit_code == 2
    assert "HEMALINE_SITE" in result.stderr
    assert "HEMALINE_SOURCE__SETTLE_S" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_source_without_an_end_cannot_be_waited_for(command):
    result = command("run", "--until-drained", SOURCE__WATCH="true")
    assert result.exit_code == 2
    assert "needs a source with an end" in result.stderr


def _refused_for_good(spool):
    """A frame whose images stay here: the cloud refused them, and was told so."""
    frame = spooled(spool, 5_000, label="Jane Doe")
    spool.quarantine(frame.message.message_id, "upload-refused", "at most 10 bytes")
    spool.settle(receipt_of(frame, sha256=None))
    return str(frame.message.message_id)


def test_images_of_quarantined_frames_are_listed_shown_sent_again_and_discarded(
    command, spool_directory
):
    spool = open_spool(spool_directory)
    again, gone = _refused_for_good(spool), _refused_for_good(spool)
    assert json.loads(command("spool", "--json").stdout)["kept"]["files"] == 2
    lines = command("spool", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [again, gone]
    assert all(line.split("\t")[2] == "kept" for line in lines)
    assert all(line.endswith("upload-refused") for line in lines)
    shown = command("spool", "show", gone).stdout
    assert f"{gone}.kept" in shown
    assert "Jane Doe" in shown
    assert "upload-refused: at most 10 bytes" in shown
    assert command("spool", "discard", gone, "--why", " ").exit_code == 2
    assert command("spool", "discard", gone, "--why", "captured again").exit_code == 0
    assert command("spool", "retry", "--reason", "upload-refused").exit_code == 0
    assert command("spool", "list").stdout == ""
    assert "captured again" in command("spool", "show", gone).stdout
    (entry,) = spool.next_entries(10)
    assert str(entry.message_id) == again


def test_verbs_on_what_is_not_kept_say_so(command, spool_directory):
    frame = spooled(open_spool(spool_directory))
    for verb in (["show"], ["retry"], ["discard", "--why", "x"]):
        refused = command("spool", *verb, str(frame.message.message_id))
        assert refused.exit_code == 2
        assert "hemaline-edge spool list" in refused.output
    assert "No images are kept" in command("spool", "retry", "--reason", "x").stdout
    assert "not both" in command("spool", "retry").output
