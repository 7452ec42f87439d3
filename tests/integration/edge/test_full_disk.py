"""A disk that is full to the last byte: capture stops, nothing is lost, and goes on by itself."""

import os
import subprocess
from contextlib import suppress

import pytest

from conftest import missing
from hemaline_shared.errors import TransientError
from parts.edge_frames import open_spool, receipt_of, save, smear, spooled
from parts.edge_process import EdgeProcess, environment, text_of
from parts.responder import Responder, eventually, stored


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        missing("a disk of our own needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        missing("a disk of our own needs the right to mount a tmpfs")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill_up(spool, frames):
    for _ in range(100):
        frames.append(spooled(spool, 200_000))


def open_slides(spool):
    for number in range(50):
        spool.open_slide("test", f"{number} {'x' * 2000}")


def test_a_disk_that_fills_up_refuses_capture_keeps_what_there_is_and_recovers(small_disk):
    spool = open_spool(small_disk / "spool")
    frames = []
    with pytest.raises(TransientError) as refusal:
        fill_up(spool, frames)
    assert refusal.value.reason == "spool-full"
    assert spool.counts().captured == len(frames) > 5
    assert len(list((small_disk / "spool" / "images").iterdir())) == len(frames)
    spool.settle(receipt_of(frames[0]))
    frames.append(spooled(spool, 200_000))
    spool.close()
    spool = open_spool(small_disk / "spool")
    assert spool.index_problems() == []
    kept = [entry.message_id for entry in spool.next_entries(100)]
    assert kept == [frame.message.message_id for frame in frames[1:]]
    assert all(spool.load(message_id)[1] for message_id in kept)


def fill_with_ballast(disk):
    with (disk / "ballast").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))


def test_a_disk_that_somebody_else_filled_to_the_last_byte_still_lets_the_spool_empty(small_disk):
    spool = open_spool(small_disk / "spool")
    frames = [spooled(spool, 20_000) for _ in range(20)]
    spool.close()
    fill_with_ballast(small_disk)
    spool = open_spool(small_disk / "spool")
    assert spool.next_session(0) == 1
    for frame in frames:
        spool.settle(receipt_of(frame))
        fill_with_ballast(small_disk)  # what became free is taken at once
    assert spool.contents().messages == 0
    assert spool.refusal()
    (small_disk / "ballast").unlink()
    assert spool.refusal() is None
    spooled(spool)


def test_an_index_that_cannot_grow_refuses_capture_too(small_disk):
    spool = open_spool(small_disk / "spool")
    fill_with_ballast(small_disk)
    with pytest.raises(TransientError) as refusal:
        open_slides(spool)
    assert refusal.value.reason == "spool-full"
    (small_disk / "ballast").unlink()
    spooled(spool)
    assert spool.counts().captured == 1


def test_an_agent_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    small_disk, tmp_path, broker
):
    for number in range(12):
        save(tmp_path / "images" / f"{number}.png", smear(number))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_900_000))
    env = environment(
        small_disk / "spool", tmp_path / "images", broker.settings, SOURCE__WATCH="false"
    )
    broker.kill()  # nothing leaves the spool, so it must fill
    log = tmp_path / "log"
    with EdgeProcess(env, log, "run", "--until-drained") as agent:
        assert eventually(lambda: "capture stands still" in text_of(log), 40), text_of(log)
        ballast.unlink()
        broker.start()
        with Responder(broker.settings, stored) as cloud:
            assert agent.wait() == 0, text_of(log)
    assert len({m.message_id for m in cloud.messages if m.kind != "slide-closed"}) == 12
