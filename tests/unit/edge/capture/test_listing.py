"""A sweep costs what has changed, and misses nothing for good."""

import os

import pytest

from hemaline_edge.capture import listing as module
from hemaline_edge.capture.listing import FolderListing
from hemaline_shared.errors import TransientError


class Calls:
    """Counts what the listing asks of the file system."""

    def __init__(self, monkeypatch):
        self.listed, self.looked_at = [], 0
        real_scandir, real_of = os.scandir, module.FileState.of

        def scandir(path):
            self.listed.append(str(path))
            return real_scandir(path)

        def of(stat):
            self.looked_at += 1
            return real_of(stat)

        monkeypatch.setattr(module.os, "scandir", scandir)
        monkeypatch.setattr(module.FileState, "of", of)

    def clear(self):
        self.listed.clear()
        self.looked_at = 0


@pytest.fixture
def quiet(monkeypatch):
    """Take every folder's times for fine, so that no test waits for coarse ones."""
    monkeypatch.setattr(module, "_COARSEST_TIME_S", 0)


def fill(folder, number):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        (folder / f"{index}.jpg").touch()


def swept(listing, times=1):
    return [path for _ in range(times) for path in listing.sweep()]


def test_every_file_is_new_once(tmp_path):
    fill(tmp_path / "S1", 3)
    fill(tmp_path, 2)
    listing = FolderListing(tmp_path)
    assert sorted(swept(listing)) == ["0.jpg", "1.jpg", "S1/0.jpg", "S1/1.jpg", "S1/2.jpg"]
    assert swept(listing, 3) == []
    assert max(path for path, _ in listing.files()) == "S1/2.jpg"


def test_a_sweep_over_many_unchanged_files_looks_at_a_part_and_lists_nothing(
    tmp_path, quiet, monkeypatch
):
    fill(tmp_path, 5_000)
    monkeypatch.setattr(module, "_LOOKED_AT_AGAIN", 100)
    listing = FolderListing(tmp_path)
    assert len(swept(listing)) == 5_000
    calls = Calls(monkeypatch)
    assert swept(listing, 3) == []
    assert calls.looked_at == 300
    assert calls.listed == [str(tmp_path)] * 3  # to see that the share is there


def test_one_more_file_among_many_costs_one_look_and_one_list(tmp_path, quiet, monkeypatch):
    fill(tmp_path / "S1", 3_000)
    fill(tmp_path / "S2", 3_000)
    monkeypatch.setattr(module, "_LOOKED_AT_AGAIN", 0)
    listing = FolderListing(tmp_path)
    swept(listing)
    calls = Calls(monkeypatch)
    (tmp_path / "S2" / "new.jpg").touch()
    assert swept(listing) == ["S2/new.jpg"]
    assert calls.looked_at == 1
    assert calls.listed == [str(tmp_path), str(tmp_path / "S2")]


def test_a_notice_costs_a_look_where_it_happened(tmp_path, quiet, monkeypatch):
    fill(tmp_path / "S1", 1_000)
    fill(tmp_path / "S2", 1_000)
    listing = FolderListing(tmp_path)
    swept(listing)
    calls = Calls(monkeypatch)
    (tmp_path / "S1" / "7.jpg").write_bytes(b"content")
    assert listing.look({"S1/7.jpg"}) == ["S1/7.jpg"]
    fill(tmp_path / "S3" / "deep", 1)
    assert listing.look({"S3"}) == ["S3/deep/0.jpg"]
    assert str(tmp_path / "S2") not in calls.listed


def test_a_file_written_over_in_place_is_found_in_its_turn_without_any_notice(
    tmp_path, quiet, monkeypatch
):
    fill(tmp_path, 1_000)
    monkeypatch.setattr(module, "_LOOKED_AT_AGAIN", 100)
    listing = FolderListing(tmp_path)
    swept(listing)
    (tmp_path / "777.jpg").write_bytes(b"another picture")
    assert swept(listing, 11) == ["777.jpg"]


def test_a_folder_whose_times_never_change_is_listed_again_in_its_turn(
    tmp_path, quiet, monkeypatch
):
    fill(tmp_path / "S1", 10)
    fill(tmp_path / "S2", 10)
    monkeypatch.setattr(module, "_LOOKED_AT_AGAIN", 5)
    listing = FolderListing(tmp_path)
    swept(listing)
    times = (tmp_path / "S2").stat().st_mtime_ns, 1
    for folder in listing._folders.values():
        folder.times = times
    monkeypatch.setattr(
        FolderListing,
        "_may_have_changed",
        lambda _self, folder, _times: folder.times is None and not setattr(folder, "times", times),
    )
    (tmp_path / "S2" / "new.jpg").touch()
    assert "S2/new.jpg" in swept(listing, 30)


def test_a_change_within_one_tick_of_a_coarse_clock_is_not_missed(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    listing = FolderListing(tmp_path)
    swept(listing)
    (tmp_path / "new.jpg").touch()
    first = tmp_path.stat()
    folder = listing._folders[""]
    folder.times = first.st_mtime_ns, first.st_ctime_ns  # as if the listing had come just before
    assert swept(listing) == ["new.jpg"]


def test_a_file_replaced_by_another_under_its_name_is_new(tmp_path, quiet):
    fill(tmp_path, 3)
    listing = FolderListing(tmp_path)
    swept(listing)
    (tmp_path / "other").write_bytes(b"another")
    (tmp_path / "other").rename(tmp_path / "1.jpg")
    assert "1.jpg" in swept(listing)


def test_a_renamed_folder_s_files_are_new_there_and_gone_here(tmp_path, quiet):
    fill(tmp_path / "S1", 2)
    listing = FolderListing(tmp_path)
    swept(listing)
    (tmp_path / "S1").rename(tmp_path / "S1-done")
    assert sorted(swept(listing)) == ["S1-done/0.jpg", "S1-done/1.jpg"]
    assert listing.state_of("S1/0.jpg") is None


def test_links_are_followed_last_and_each_folder_once(tmp_path):
    fill(tmp_path / "S9", 1)
    (tmp_path / "A").symlink_to(tmp_path / "S9")
    (tmp_path / "S9" / "up").symlink_to(tmp_path)
    assert swept(FolderListing(tmp_path), 2) == ["S9/0.jpg"]


def test_a_subfolder_that_cannot_be_read_is_told_once_and_read_when_it_can_be(
    tmp_path, monkeypatch, caplog
):
    fill(tmp_path / "P1", 1)
    fill(tmp_path / "P2", 1)
    real = os.scandir

    def refuses(path):
        if str(path).endswith("P1"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(module.os, "scandir", refuses)
    listing = FolderListing(tmp_path)
    assert swept(listing, 3) == ["P2/0.jpg"]
    assert [record.getMessage() for record in caplog.records] == [
        f"passing over a subfolder of {tmp_path}: Permission denied"
    ]
    monkeypatch.setattr(module.os, "scandir", real)
    assert swept(listing) == ["P1/0.jpg"]


def test_a_folder_that_is_away_is_told_and_comes_back_whole(tmp_path):
    root = tmp_path / "share"
    fill(root, 2)
    listing = FolderListing(root)
    swept(listing)
    root.rename(tmp_path / "away")
    with pytest.raises(TransientError, match="is the share mounted"):
        listing.sweep()
    root.mkdir()  # an empty mount point
    assert swept(listing) == []
    root.rmdir()
    (tmp_path / "away").rename(root)
    assert sorted(swept(listing, 2)) == ["0.jpg", "1.jpg"]
