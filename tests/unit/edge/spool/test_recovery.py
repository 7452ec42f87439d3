"""What a crash or a bad disk leaves, and what the next start makes of it."""

from hemaline_shared.ids import new_id
from hemaline_shared.messages import QuarantinedMessage, Receipt, decode
from parts.edge_frames import open_spool, receipt_of, spooled


def images(tmp_path):
    return sorted(path.name for path in (tmp_path / "images").iterdir())


def test_a_file_without_a_row_is_removed(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    (tmp_path / "images" / f"{new_id()}.cbor").write_bytes(b"never committed")
    (tmp_path / "images" / f"{new_id()}.part").write_bytes(b"half writ")
    spool = open_spool(tmp_path)
    assert images(tmp_path) == [f"{frame.message.message_id}.cbor"]
    assert spool.counts().captured == 1


def becomes_quarantined(spool, frame):
    (entry,) = spool.entries_after(0, 10)
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
    spool.load(frame.message.message_id)
    assert becomes_quarantined(spool, frame)


def test_a_damaged_frame_leaves_with_its_receipt_and_is_counted_once(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    (tmp_path / "images" / f"{frame.message.message_id}.cbor").unlink()
    spool = open_spool(tmp_path)
    spool.settle(Receipt(message_id=frame.message.message_id, outcome="stored"))
    counts = spool.counts()
    assert (counts.captured, counts.quarantined, counts.receipted) == (1, 1, 1)
    assert spool.entries_after(0, 10) == []


def test_a_receipt_s_deletion_that_was_cut_off_is_finished(tmp_path, monkeypatch):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    monkeypatch.setattr(spool._files, "remove", lambda _message_id: None)
    spool.settle(receipt_of(frame))
    assert len(images(tmp_path)) == 1
    spool.close()
    open_spool(tmp_path)
    assert images(tmp_path) == []
