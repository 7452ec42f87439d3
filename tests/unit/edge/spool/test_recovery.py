"""What a crash or a bad disk leaves, and what the next start makes of it."""

import os
import time

import cbor2
import pytest

from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import (
    QuarantinedMessage,
    Receipt,
    SlideClosedMessage,
    decode,
)
from hemaline_shared.topics import DeviceName
from parts.edge_frames import closing, open_spool, receipt_of, spooled


def images(tmp_path):
    return sorted(path.name for path in (tmp_path / "images").iterdir())


def test_a_file_without_a_row_is_set_aside_and_deleted_a_week_later(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    orphan = new_id()
    (tmp_path / "images" / f"{orphan}.cbor").write_bytes(b"never committed")
    (tmp_path / "images" / f"{new_id()}.part").write_bytes(b"half writ")
    open_spool(tmp_path).close()
    kept = tmp_path / "images" / f"{orphan}.orphan"
    assert images(tmp_path) == sorted([f"{frame.message.message_id}.cbor", kept.name])
    assert kept.read_bytes() == b"never committed"
    an_hour_short, longer = (time.time() - age for age in (7 * 86400 - 3600, 7 * 86400 + 3600))
    os.utime(kept, (an_hour_short, an_hour_short))
    open_spool(tmp_path).close()
    assert kept.exists()
    os.utime(kept, (longer, longer))
    spool = open_spool(tmp_path)
    assert images(tmp_path) == [f"{frame.message.message_id}.cbor"]
    assert spool.counts().captured == 1


def test_images_outlive_the_loss_of_the_index(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    for file in tmp_path.glob("index.sqlite3*"):
        file.unlink()
    open_spool(tmp_path)
    kept = tmp_path / "images" / f"{frame.message.message_id}.orphan"
    assert kept.read_bytes() == frame.images


def becomes_quarantined(spool, frame):
    (entry,) = spool.next_entries(10)
    header, packed = spool.load(frame.message.message_id)
    message = decode(QuarantinedMessage, header)
    counts = spool.counts()
    return (
        packed is None
        and entry.kind == message.kind == "quarantined"
        and entry.sha256 is None
        and message.reason == "damaged-in-spool"
        and message.message_id == frame.message.message_id
        and message.sequence == frame.message.sequence
        and (counts.captured, counts.quarantined) == (1, 1)
        and spool.unused()[0].outcome == "quarantined"
        and spool.slides()[0].quarantined == 1
        and spool.size == spool.contents().size < 2000
    )


def test_a_row_without_its_file_becomes_a_quarantined_message(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool, 5_000)
    spool.close()
    (tmp_path / "images" / f"{frame.message.message_id}.cbor").unlink()
    assert becomes_quarantined(open_spool(tmp_path), frame)


def test_a_file_cut_short_becomes_a_quarantined_message_and_is_kept_for_a_person(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool, 5_000)
    spool.close()
    file = tmp_path / "images" / f"{frame.message.message_id}.cbor"
    file.write_bytes(file.read_bytes()[:-1])
    assert becomes_quarantined(open_spool(tmp_path), frame)
    assert images(tmp_path) == [f"{frame.message.message_id}.damaged"]


def test_a_flipped_bit_is_found_before_sending_and_becomes_a_quarantined_message(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool, 5_000)
    file = tmp_path / "images" / f"{frame.message.message_id}.cbor"
    content = bytearray(file.read_bytes())
    content[2_500] ^= 1
    file.write_bytes(content)
    with pytest.raises(PermanentError, match="do not match") as damage:
        spool.load(frame.message.message_id)
    spool.quarantine(frame.message.message_id, damage.value.reason, str(damage.value))
    assert becomes_quarantined(spool, frame)
    assert images(tmp_path) == [f"{frame.message.message_id}.damaged"]


def test_a_damaged_frame_leaves_with_its_receipt_and_is_counted_once(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    (tmp_path / "images" / f"{frame.message.message_id}.cbor").unlink()
    spool = open_spool(tmp_path)
    spool.settle(Receipt(message_id=frame.message.message_id, outcome="stored"))
    counts = spool.counts()
    assert (counts.captured, counts.quarantined, counts.receipted) == (1, 1, 1)
    assert spool.next_entries(10) == []


def test_a_receipt_s_deletion_that_was_cut_off_is_finished(tmp_path, monkeypatch):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    monkeypatch.setattr(spool._files, "remove", lambda _message_id: None)
    spool.settle(receipt_of(frame))
    spool.close()
    open_spool(tmp_path)
    assert images(tmp_path) == [f"{frame.message.message_id}.orphan"]


def rewrite_header(spool, frame, change):
    with spool._database.transaction() as connection:
        select = "select header from entries where message_id = ?"
        (header,) = connection.execute(select, (str(frame.message.message_id),)).fetchone()
        connection.execute(
            "update entries set header = ? where message_id = ?",
            (change(bytes(header)), str(frame.message.message_id)),
        )


DAMAGED_HEADERS = {
    "undecodable": lambda _header: b"\xff nonsense",
    "empty": lambda _header: b"",
    "no map": lambda _header: cbor2.dumps([1, 2]),
    "cut": lambda header: header[:-3],
    "another number": lambda header: header.replace(cbor2.dumps("width"), cbor2.dumps("wodth")),
}


@pytest.mark.parametrize("damage", DAMAGED_HEADERS)
@pytest.mark.parametrize("restart", [False, True])
def test_a_damaged_header_costs_its_frame_and_tells_it_by_what_the_index_knows(
    tmp_path, damage, restart
):
    spool = open_spool(tmp_path)
    spooled(spool)
    frame = spooled(spool, 5_000)
    rewrite_header(spool, frame, DAMAGED_HEADERS[damage])
    if restart:
        spool.close()
        spool = open_spool(tmp_path)
    message_id = frame.message.message_id
    with pytest.raises(PermanentError, match="its header") as error:
        spool.load(message_id)
    with pytest.raises(PermanentError):
        spool.quarantine(message_id, error.value.reason, str(error.value))
    spool.quarantine(message_id, error.value.reason, str(error.value), DeviceName("lab", "scope"))
    header, packed = spool.load(message_id)
    message = decode(QuarantinedMessage, header)
    assert packed is None
    assert (message.message_id, message.sequence, message.site) == (message_id, 1, "lab")
    assert (message.slide_id, message.specimen_id, message.source) == (
        frame.message.slide_id,
        frame.message.specimen_id,
        "folder",
    )
    assert f"{message_id}.damaged" in images(tmp_path)
    assert spool.counts().quarantined == 1


def test_a_damaged_header_of_a_missing_file_does_not_keep_the_device_from_starting(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    rewrite_header(spool, frame, lambda _header: b"\xff")
    spool.close()
    (tmp_path / "images" / f"{frame.message.message_id}.cbor").unlink()
    spool = open_spool(tmp_path)
    with pytest.raises(PermanentError, match="its header"):
        spool.load(frame.message.message_id)


def test_a_slide_s_closing_with_a_damaged_header_is_written_anew(tmp_path):
    spool = open_spool(tmp_path)
    spooled(spool)
    message = closing(spool.open_slide("test", "A"))
    spool.close_slide(message)
    with spool._database.transaction() as connection:
        connection.execute("update entries set header = x'ff' where kind = 'slide-closed'")
    with pytest.raises(PermanentError) as error:
        spool.load(message.message_id)
    name = DeviceName("lab", "scope")
    spool.quarantine(message.message_id, error.value.reason, str(error.value), name)
    told = decode(SlideClosedMessage, spool.load(message.message_id)[0])
    assert (told.frames, told.slide_id) == (1, message.slide_id)
    assert spool.counts().quarantined == 0


def test_a_row_whose_id_is_damaged_stops_nothing_else(tmp_path):
    spool = open_spool(tmp_path)
    broken, whole = spooled(spool), spooled(spool)
    with spool._database.transaction() as connection:
        connection.execute(
            "update entries set message_id = 'nonsense' where message_id = ?",
            (str(broken.message.message_id),),
        )
    spool.close()
    spool = open_spool(tmp_path)
    found = [entry.message_id for entry in spool.next_entries(9)]
    assert found == [whole.message.message_id]


def unreadable(tmp_path, frame):
    """Let the images be a file that the system cannot read: EIO, as of a bad sector."""
    file = tmp_path / "images" / f"{frame.message.message_id}.cbor"
    file.unlink()
    file.symlink_to("/proc/self/mem")
    return file


def test_a_file_that_cannot_be_read_may_be_tried_again(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    file = unreadable(tmp_path, frame)
    with pytest.raises(TransientError, match="Input/output error") as error:
        spool.load(frame.message.message_id)
    assert error.value.reason == "spool-unreadable"
    file.unlink()
    file.write_bytes(frame.images)
    assert spool.load(frame.message.message_id)[1] == frame.images


def test_a_disk_that_does_not_work_at_all_is_charged_to_no_frame(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    (tmp_path / "images").rename(tmp_path / "unplugged")
    for read in (lambda: spool.load(frame.message.message_id), spool.check):
        with pytest.raises(TransientError) as error:
            read()
        assert error.value.reason == "spool-unreadable"
    (tmp_path / "unplugged").rename(tmp_path / "images")
    assert spool.load(frame.message.message_id)[1] == frame.images
