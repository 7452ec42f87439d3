"""A watched folder gives every image once, whole, under its slide's label."""

import io
import os
import shutil
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hemaline_edge.capture import folder as folder_module
from hemaline_edge.capture.folder import FolderSource
from hemaline_edge.capture.frame import CapturedFrame, UnusableFrame
from hemaline_edge.capture.listing import FileState
from hemaline_edge.settings import FolderSettings
from hemaline_shared.errors import PermanentError, TransientError
from parts.edge_frames import save, smear

OLD = time.time() - 3600


class Marks(dict):
    """What the spool would remember."""

    def seen(self, scope, key):
        return self.get((scope, key))

    def remember(self, marks):
        self.update({(mark.scope, mark.key): mark.version for mark in marks})

    def put(self, frame):
        self.remember(frame.marks)


@pytest.fixture
def marks():
    return Marks()


@pytest.fixture
def source(tmp_path, marks):
    made = []

    def make(**settings):
        settings = {"watch": False, "settle_s": 0.2, "give_up_s": 0.6, "sweep_s": 0.3, **settings}
        made.append(FolderSource(FolderSettings(path=tmp_path, **settings), marks))
        return made[-1]

    yield make
    for each in made:
        each.close()


def image(tmp_path, name, seed=0):
    path = save(tmp_path / name, smear(seed, 320, 240))
    os.utime(path, (OLD, OLD))
    return path


def drain(source, marks, timeout_s=5.0):
    """Read as the agent does: what was given is marked."""
    frames = []
    deadline = time.monotonic() + timeout_s
    while not source.exhausted and time.monotonic() < deadline:
        if frame := source.read(0.1):
            frames.append(frame)
            marks.put(frame)
    return frames


def labels(frames):
    return sorted((frame.slide, Path(frame.origin).name) for frame in frames)


def test_a_flat_folder_is_one_slide_named_after_it(tmp_path, source, marks):
    image(tmp_path, "a.png")
    image(tmp_path, "b.jpg")
    frames = drain(source(), marks)
    assert labels(frames) == [(tmp_path.name, "a.png"), (tmp_path.name, "b.jpg")]
    assert frames[0].image.shape == (240, 320, 3)


def test_subfolders_are_slides_and_come_one_after_the_other(tmp_path, source, marks):
    for name in ("S2/b.png", "S1/z.png", "S2/a.png", "S1/deep/y.png"):
        image(tmp_path, name)
    frames = drain(source(), marks)
    assert [frame.slide for frame in frames] == ["S1", "S1/deep", "S2", "S2"]


def test_a_manifest_s_slide_column_names_the_slides(tmp_path, source, marks):
    image(tmp_path, "images/x/1.png")
    image(tmp_path, "images/y/2.png")
    image(tmp_path, "images/y/unlisted.png")
    (tmp_path / "manifest.tsv").write_text(
        "file\tslide\tgroup\nimages/x/1.png\tA\tg\nimages/y/2.png\tA\th\n"
    )
    assert labels(drain(source(), marks)) == [
        ("A", "1.png"),
        ("A", "2.png"),
        ("images/y", "unlisted.png"),
    ]
    marks.clear()
    assert labels(drain(source(slide_column="group"), marks)) == [
        ("g", "1.png"),
        ("h", "2.png"),
        ("images/y", "unlisted.png"),
    ]


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path, source):
    (tmp_path / "manifest.tsv").write_text("file\tgroup\n")
    with pytest.raises(PermanentError, match="file, group") as error:
        source(slide_column="patient")
    assert error.value.reason == "no-such-column"


def test_a_column_without_a_manifest_is_told(source):
    with pytest.raises(PermanentError) as error:
        source(slide_column="patient")
    assert error.value.reason == "no-manifest"


def test_a_manifest_that_is_being_edited_pauses_capture_and_mixes_no_slides_up(
    tmp_path, source, marks
):
    (tmp_path / "manifest.tsv").write_text("file\tslide\na.png\tA\n")
    image(tmp_path, "a.png")
    folder = source()
    (tmp_path / "manifest.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TransientError):
        folder.read(0.1)
    (tmp_path / "manifest.tsv").write_text("file\tslide\na.png\tB\n")
    assert [frame.slide for frame in drain(folder, marks)] == ["B"]


def test_what_was_captured_is_not_captured_again_after_a_restart(tmp_path, source, marks):
    image(tmp_path, "a.png")
    assert len(drain(source(), marks)) == 1
    image(tmp_path, "b.png")
    assert [Path(frame.origin).name for frame in drain(source(), marks)] == ["b.png"]


def test_a_file_replaced_under_its_name_is_captured_again(tmp_path, source, marks):
    image(tmp_path, "a.png", seed=1)
    folder = source(watch=True)
    marks.put(folder.read(3))
    assert folder.read(0.5) is None
    save(tmp_path / "a.png", smear(2, 320, 240))
    again = folder.read(5)
    assert isinstance(again, CapturedFrame)
    assert again.marks[0].version not in marks.values()


def test_a_frame_that_the_spool_did_not_take_is_given_again(tmp_path, source, marks):
    image(tmp_path, "a.png")
    folder = source()
    assert folder.read(1)
    assert not folder.exhausted
    assert [Path(frame.origin).name for frame in drain(folder, marks)] == ["a.png"]
    assert folder.exhausted


def test_files_that_are_no_images_by_their_names_are_ignored(tmp_path, source, marks):
    names = ("notes.txt", "Thumbs.db", ".hidden.jpg", "scan.xml", "x.tsv", ".git/a.png", "~a.png")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    image(tmp_path, "a.png")
    assert labels(drain(source(), marks)) == [(tmp_path.name, "a.png")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "empty"),
        ("word.jpg", b"no picture at all", "not-an-image"),
        ("README", b"no suffix at all", "not-an-image"),
        ("half.png", None, "truncated"),
    ],
)
def test_a_file_that_never_becomes_an_image_ends_with_a_reason(
    tmp_path, source, marks, name, content, reason
):
    whole = image(tmp_path, "good.png")
    (tmp_path / name).write_bytes(whole.read_bytes()[:-50] if content is None else content)
    frames = {Path(frame.origin).name: frame for frame in drain(source(), marks)}
    assert isinstance(frames["good.png"], CapturedFrame)
    assert isinstance(frames[name], UnusableFrame)
    assert frames[name].reason == reason
    assert name not in frames[name].detail


def test_what_neither_is_an_image_nor_says_so_is_no_frame(tmp_path, source, marks, caplog):
    caplog.set_level("INFO")
    for name in ("a.jpg.sha256", "sync.ffs_db", "x.jpg.!bt", "S.1/index.dat", "empty.gstmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"no picture")
    image(tmp_path, "a.png").rename(tmp_path / "a.unknown")
    image(tmp_path, "b.png", seed=2)
    folder = source()
    assert labels(drain(folder, marks)) == [(tmp_path.name, "a.unknown"), (tmp_path.name, "b.png")]
    assert "5 files whose names and contents are no images' are passed over" in caplog.text
    caplog.clear()
    assert drain(source(), marks) == []
    assert "passed over" not in caplog.text  # they are remembered, and not read again


def test_a_file_too_large_to_decode_is_not_even_read(tmp_path, source, marks):
    with (tmp_path / "huge.tif").open("wb") as file:
        file.truncate(70 * 1024**2)
    (frame,) = drain(source(), marks)
    assert frame.reason == "too-many-bytes"


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path, source, marks):
    content = image(tmp_path / "elsewhere", "a.png").read_bytes()
    (tmp_path / "elsewhere" / "a.png").unlink()
    folder = source(watch=True, give_up_s=30)
    path = tmp_path / "slow.png"
    with path.open("wb", buffering=0) as file:
        for start in range(0, 4000, 1000):
            file.write(content[start : start + 1000])
            assert folder.read(0.3) is None, "taken before it was whole"
        file.write(content[4000:])
    frame = folder.read(5)
    assert isinstance(frame, CapturedFrame)


def test_a_writer_that_pauses_longer_than_the_settling_time_is_waited_for(tmp_path, source, marks):
    content = image(tmp_path / "elsewhere", "a.png").read_bytes()
    (tmp_path / "elsewhere" / "a.png").unlink()
    folder = source(watch=True, settle_s=0.1, give_up_s=30)
    path = tmp_path / "slow.png"
    path.write_bytes(content[:-100])
    assert folder.read(1.0) is None
    path.write_bytes(content)
    assert isinstance(folder.read(5), CapturedFrame)


def test_sweeps_alone_find_new_files_as_on_a_network_share(tmp_path, source, monkeypatch):
    monkeypatch.setattr("hemaline_edge.capture.folder.Notices.start", lambda _self: None)
    folder = source(watch=True)
    assert folder.read(0.1) is None
    image(tmp_path, "a.png")
    assert folder.read(3)


def test_a_notice_finds_a_new_file_long_before_the_next_sweep(tmp_path, source):
    folder = source(watch=True, sweep_s=3600)
    assert folder.read(0.1) is None
    save(tmp_path / "new" / "a.png", smear(0, 320, 240))
    assert folder.read(5)


def test_a_folder_that_goes_away_is_an_error_that_passes(tmp_path, marks):
    place = tmp_path / "share"
    place.mkdir()
    folder = FolderSource(FolderSettings(path=place, sweep_s=0.1, settle_s=0), marks)
    assert folder.read(0.2) is None
    place.rename(tmp_path / "away")
    time.sleep(0.2)
    with pytest.raises(TransientError, match="is the share mounted") as error:
        folder.read(0.5)
    assert error.value.reason == "folder-unreachable"
    (tmp_path / "away").rename(place)
    image(place, "a.png")
    assert folder.read(3)
    folder.close()


def test_links_to_folders_are_followed_once(tmp_path, source, marks):
    image(tmp_path, "S1/a.png")
    (tmp_path / "S1" / "up").symlink_to(tmp_path)
    (tmp_path / "S2").symlink_to(tmp_path / "S1")
    assert len(drain(source(), marks)) == 1


def test_a_name_that_is_no_text_stops_nobody_and_is_captured_once(tmp_path, source, marks):
    image(tmp_path, "good.png")
    image(tmp_path, "odd.png", seed=1).rename(tmp_path / os.fsdecode(b"M\xfcller.png"))
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    image(tmp_path, "odd.png", seed=2).rename(tmp_path / os.fsdecode(b"\xff/a.png"))
    frames = drain(source(), marks)
    assert {frame.origin.removeprefix(f"{tmp_path}/") for frame in frames} == {
        "good.png",
        "M\\xfcller.png",
        "\\xff/a.png",
    }
    for frame in frames:
        for text in (frame.slide, frame.origin, *(mark.key for mark in frame.marks)):
            text.encode()
    assert drain(source(), marks) == []


def test_a_folder_s_name_makes_one_slide_however_its_letters_are_composed(tmp_path, source, marks):
    image(tmp_path, unicodedata.normalize("NFD", "Müller/a.png"))
    image(tmp_path, unicodedata.normalize("NFC", "Müller/b.png"), seed=1)
    assert {frame.slide for frame in drain(source(), marks)} == {"Müller"}


@pytest.mark.parametrize("hours", [-500_000, -1, 0, 1, 100_000])
def test_the_clock_of_a_share_decides_nothing(tmp_path, source, hours):
    content = image(tmp_path / "elsewhere", "a.png").read_bytes()
    (tmp_path / "elsewhere" / "a.png").unlink()
    folder = source(watch=True, settle_s=0.4, give_up_s=30)
    at = max(0.0, time.time() + 3600 * hours)
    path = tmp_path / "slow.png"
    for start in range(0, 4000, 1000):
        with path.open("ab", buffering=0) as file:
            file.write(content[start : start + 1000])
        os.utime(path, (at, at))
        assert folder.read(0.2) is None, "taken before it was whole"
    with path.open("ab") as file:
        file.write(content[4000:])
    os.utime(path, (at, at))
    assert isinstance(folder.read(10), CapturedFrame)


def test_a_file_of_full_size_and_old_times_is_waited_for_while_its_content_grows(
    tmp_path, source, monkeypatch
):
    pixels = smear(3, 320, 240)
    path = save(tmp_path / "a.bmp", pixels)
    whole = path.read_bytes()
    always = FileState.of(path.stat())
    monkeypatch.setattr(FileState, "of", classmethod(lambda _cls, _stat: always))
    folder = source(watch=True, settle_s=0.4, give_up_s=30)
    for written in range(60_000, len(whole), 20_000):
        path.write_bytes(whole[:written] + os.urandom(len(whole) - written))
        assert folder.read(0.25) is None, "taken while its content changed"
    path.write_bytes(whole)
    assert np.array_equal(folder.read(10).image, pixels)


def test_a_raw_file_of_full_size_is_waited_for_though_it_decodes(tmp_path, source, marks):
    whole = save(tmp_path / "a.bmp", smear(4, 320, 240)).read_bytes()
    path = tmp_path / "a.bmp"
    path.write_bytes(whole[: len(whole) * 8 // 10] + bytes(len(whole) - len(whole) * 8 // 10))
    folder = source(watch=True, settle_s=0.1, give_up_s=30)
    assert folder.read(2.0) is None, "taken before it was whole"
    path.write_bytes(whole)
    assert isinstance(folder.read(10), CapturedFrame)


def test_a_file_that_was_only_touched_is_the_same_one(tmp_path, source, marks):
    path = image(tmp_path, "a.png")
    folder = source(watch=True)
    marks.put(folder.read(5))
    os.utime(path)
    assert folder.read(1.5) is None
    assert drain(source(), marks) == []


def test_a_renamed_folder_brings_nothing_new_and_the_log_says_so(tmp_path, source, marks, caplog):
    caplog.set_level("INFO")
    for seed in range(3):
        image(tmp_path, f"S1/{seed}.png", seed)
    assert len(drain(source(), marks)) == 3
    (tmp_path / "S1").rename(tmp_path / "S1-done")
    assert drain(source(), marks) == []
    assert "3 files were moved, renamed or touched" in caplog.text
    assert drain(source(), marks) == []
    image(tmp_path, "S1-done/4.png", 4)
    assert len(drain(source(), marks)) == 1


def test_files_that_were_numbered_anew_bring_nothing_new_and_a_copy_is_given_to_be_judged(
    tmp_path, source, marks
):
    for number in range(3):
        image(tmp_path, f"{number}.png", number)
    assert len(drain(source(), marks)) == 3
    for number in (2, 1, 0):
        (tmp_path / f"{number}.png").rename(tmp_path / f"{number + 1}.png")
    assert drain(source(), marks) == []
    shutil.copy(tmp_path / "3.png", tmp_path / "copy.png")
    assert [Path(frame.origin).name for frame in drain(source(), marks)] == ["copy.png"]


def test_one_folder_spelled_in_two_ways_is_one_folder(tmp_path, marks, monkeypatch):
    place = tmp_path / "watched"
    image(place, "a.png")
    (tmp_path / "link").symlink_to(place)
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    given = []
    for spelling in (place, tmp_path / "x" / ".." / "watched", tmp_path / "link", Path("watched")):
        settings = FolderSettings(path=spelling, watch=False, settle_s=0)
        given += drain(FolderSource(settings, marks), marks)
    assert len(given) == 1


def test_a_folder_that_was_moved_elsewhere_with_all_in_it_brings_nothing_new(tmp_path, marks):
    image(tmp_path / "old", "S1/a.png")
    for name, expected in (("old", 1), ("new", 0)):
        if name == "new":
            (tmp_path / "old").rename(tmp_path / "new")
        settings = FolderSettings(path=tmp_path / name, watch=False, settle_s=0)
        assert len(drain(FolderSource(settings, marks), marks)) == expected


def test_marks_of_an_earlier_agent_still_count(tmp_path, source, marks):
    stat = image(tmp_path, "a.png").stat()
    folder = source()
    marks[folder.scope, "a.png"] = f"{stat.st_size}-{stat.st_mtime_ns}"
    assert drain(folder, marks) == []


class Locked:
    """Lets no file of a name be read until it is told to."""

    def __init__(self, monkeypatch, name):
        self.name = name
        real = folder_module.read_file

        def read(path, expected):
            if path.name == self.name:
                raise PermissionError(13, "Permission denied")
            return real(path, expected)

        monkeypatch.setattr(folder_module, "read_file", read)


def test_a_file_that_cannot_be_read_is_told_and_captured_when_it_can_be(
    tmp_path, source, marks, monkeypatch, caplog
):
    monkeypatch.setattr(folder_module, "_RETRY_S", 0.1)
    image(tmp_path, "a.png", 1)
    image(tmp_path, "b.png", 2)
    locked = Locked(monkeypatch, "a.png")
    folder = source(watch=True, give_up_s=0)
    frame = folder.read(5)
    assert Path(frame.origin).name == "b.png"
    marks.put(frame)
    assert folder.read(1.0) is None
    assert "1 files cannot be read (Permission denied)" in folder.problem()
    assert "a.png" not in caplog.text
    locked.name = None
    assert Path(folder.read(10).origin).name == "a.png"
    assert folder.problem() is None


def test_a_finite_folder_ends_with_a_word_on_what_cannot_be_read_and_tries_it_again_next_time(
    tmp_path, source, marks, monkeypatch
):
    monkeypatch.setattr(folder_module, "_RETRY_S", 0.1)
    image(tmp_path, "a.png", 1)
    image(tmp_path, "b.png", 2)
    locked = Locked(monkeypatch, "a.png")
    frames = drain(source(), marks, timeout_s=20)
    assert [type(frame) for frame in frames] == [UnusableFrame, CapturedFrame]
    assert frames[0].reason == "unreadable"
    locked.name = None
    assert [Path(frame.origin).name for frame in drain(source(), marks)] == ["a.png"]


def pages(*seeds):
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink) as writer:
        for seed in seeds:
            writer.write(smear(seed, 320, 240), photometric="rgb", metadata=None)
    return sink.getvalue()


def test_each_image_of_a_file_is_a_frame_of_its_own_whatever_restarts(tmp_path, source, marks):
    (tmp_path / "S1").mkdir()
    (tmp_path / "S1" / "three.tif").write_bytes(pages(1, 2, 3))
    first = source().read(5)
    marks.put(first)
    rest = drain(source(), marks)
    assert [frame.origin.rpartition(", ")[2] for frame in (first, *rest)] == [
        "image 1 of 3",
        "image 2 of 3",
        "image 3 of 3",
    ]
    for seed, frame in enumerate((first, *rest), start=1):
        assert np.array_equal(frame.image, smear(seed, 320, 240))
        assert frame.slide == "S1"
    assert drain(source(), marks) == []


def test_an_image_that_does_not_decode_is_told_and_those_beside_it_are_captured(
    tmp_path, source, marks
):
    data = bytearray(pages(1, 2, 3))
    middle = len(data) // 2 - 20_000
    data[middle : middle + 40_000] = bytes(40_000)
    (tmp_path / "three.tif").write_bytes(data)
    frames = drain(source(), marks, timeout_s=20)
    assert [type(frame) for frame in frames] == [CapturedFrame, UnusableFrame, CapturedFrame]
    assert frames[1].reason == "truncated"
    assert drain(source(), marks) == []


def test_a_list_that_does_not_fit_is_told_until_it_does(tmp_path, source, marks, caplog):
    image(tmp_path, "a.png")
    (tmp_path / "manifest.tsv").write_text("file\tslide\na.png\tP1\nSmith.png\tP2\n")
    folder = source(watch=True)
    marks.put(folder.read(5))
    assert "what line 3 names is not there" in folder.problem()
    assert "what line 3 names is not there" in caplog.text
    assert "Smith" not in caplog.text + folder.problem()
    image(tmp_path, "Smith.png", 1)
    frame = folder.read(5)
    assert frame.slide == "P2"
    marks.put(frame)
    assert folder.read(1.0) is None
    assert folder.problem() is None


def test_no_file_is_touched(tmp_path, source, marks):
    path = image(tmp_path, "a.png")
    before = path.stat()
    (tmp_path / "bad.png").write_bytes(b"bad")
    drain(source(), marks)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_ino,
    )
    assert (tmp_path / "bad.png").read_bytes() == b"bad"


def test_a_folder_is_up_to_date_once_what_was_written_before_is_given(tmp_path, source):
    folder = source(watch=True)
    image(tmp_path, "last.png")
    since = time.monotonic()
    assert not folder.is_up_to_date(since)
    while not folder.is_up_to_date(since):
        given = folder.read(0.1)
        if given is not None:
            break
    assert isinstance(given, CapturedFrame), "its last picture was given first"
