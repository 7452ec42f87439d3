"""A power cut at any moment: what the disk holds without a last sync is a whole spool.

An ext4 on a loop device with a commit interval of minutes keeps everything that was not forced to
the disk in memory; its backing file, copied while mounted, is what a power cut would leave.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing
from hemaline_edge.spool.records import SourceMark
from parts.edge_frames import new_field, open_spool

FRAMES = 120

WRITER = """
import sys
from pathlib import Path
from parts.edge_frames import new_field, open_spool, receipt_of
from hemaline_edge.spool.records import SourceMark

spool = open_spool(Path(sys.argv[1]))
for number in range(100_000):
    slide = spool.open_slide("test", f"S{number // 40}")
    frame = new_field(slide, 3_000 + number, SourceMark("test", str(number), "1"))
    spool.put(frame)
    if number % 3 == 0:
        spool.settle(receipt_of(frame))
    print(number, frame.message.message_id, number % 3 == 0, flush=True)
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class LoopDisk:
    """An ext4 file system in a file."""

    def __init__(self, image: Path, mount: Path, options: str) -> None:
        self.image, self.mount, self.options = image, mount, options

    def __enter__(self) -> Path:
        self.mount.mkdir()
        run("mount", "-o", f"loop,{self.options}", str(self.image), str(self.mount))
        return self.mount

    def __exit__(self, *_: object) -> None:
        run("umount", "-l", str(self.mount))


@pytest.fixture
def image(tmp_path):
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        missing("a power cut needs root and mkfs.ext4")
    image = tmp_path / "disk.img"
    run("truncate", "-s", "96M", str(image))
    run("mkfs.ext4", "-q", str(image))
    try:
        with LoopDisk(image, tmp_path / "trial", "commit=300"):
            pass
    except subprocess.CalledProcessError:
        missing("a power cut needs loop devices")
    return image


def test_a_power_cut_keeps_all_that_was_captured_and_brings_nothing_receipted_back(image, tmp_path):
    with LoopDisk(image, tmp_path / "before", "commit=300") as disk:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(disk / "spool")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        lines = [writer.stdout.readline().split() for _ in range(FRAMES)]
        writer.kill()  # in the middle of whatever comes after those
        writer.wait()
        writer.stdout.close()
        shutil.copyfile(image, tmp_path / "after.img")  # before anything is synced
    acknowledged = {message_id: settled == "True" for _, message_id, settled in lines}
    assert len(acknowledged) == FRAMES

    with LoopDisk(tmp_path / "after.img", tmp_path / "after", "commit=300") as disk:
        spool = open_spool(disk / "spool")
        assert spool.index_problems() == []
        entries = {str(entry.message_id): entry for entry in spool.next_entries(100_000)}
        for message_id, settled in acknowledged.items():
            assert (message_id in entries) != settled
        for entry in entries.values():
            _, images = spool.load(entry.message_id)
            assert images is not None, "a row came back without its images"
        counts = spool.counts()
        assert counts.quarantined == 0
        assert counts.captured == len(entries) + counts.receipted >= FRAMES
        assert all(spool.seen("test", number) == "1" for number, _, _ in lines)
        on_disk = {path.stem for path in (disk / "spool" / "images").iterdir()}
        assert on_disk == set(entries)
        spool.put(new_field(spool.open_slide("test", "new"), 10, SourceMark("test", "n", "1")))
        spool.close()
