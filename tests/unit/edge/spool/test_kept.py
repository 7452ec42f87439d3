"""Images of frames that were quarantined here stay until a person decides about them."""

import pytest

from hemaline_edge.spool.kept import open_kept
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from parts.edge_frames import new_field, open_spool, receipt_of, spooled

_SIZE = 5_000


def _refused(spool, size=_SIZE, *, receipted=True):
    """A frame that the cloud refuses to take for good."""
    frame = spooled(spool, size)
    message_id = frame.message.message_id
    spool.quarantine(message_id, "upload-refused", "at most 10 bytes")
    if receipted:
        spool.settle(receipt_of(frame, sha256=None))
    return message_id


def _file(tmp_path, message_id, state="kept"):
    return tmp_path / "images" / f"{message_id}.{state}"


def _reason(verb, *arguments):
    with pytest.raises(PermanentError) as refusal:
        verb(*arguments)
    return refusal.value.reason


def test_kept_images_are_told_and_take_their_part_of_the_quota(tmp_path):
    spool = open_spool(tmp_path, quota_bytes=3 * _SIZE)
    assert spool.kept_notice() is None
    ids = [_refused(spool) for _ in range(2)]
    assert [file.message_id for file in spool.kept()] == ids
    assert spool.kept_size == sum(file.size for file in spool.kept()) > 2 * _SIZE
    assert "spool list" in spool.kept_notice()
    with pytest.raises(TransientError, match="images of quarantined frames take") as refusal:
        spool.put(new_field(spool.open_slide("test", "A"), _SIZE))
    assert refusal.value.reason == "spool-full"
    spool.close()
    assert open_spool(tmp_path).kept_size == sum(file.size for file in spool.kept())


def test_a_kept_frame_is_sent_again_as_it_was_captured_while_the_agent_runs(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool, _SIZE)
    before = spool.load(frame.message.message_id)
    message_id = frame.message.message_id
    spool.quarantine(message_id, "upload-refused", "at most 10 bytes")
    spool.settle(receipt_of(frame, sha256=None))
    assert spool.next_entries(10) == []
    assert not spool.changed_elsewhere()
    with open_kept(tmp_path) as kept:
        kept.retry("ada@desk", message_id)
    assert spool.changed_elsewhere()
    (entry,) = spool.next_entries(10)
    assert (entry.kind, entry.sha256) == ("field", frame.message.images.sha256)
    assert spool.load(message_id) == before
    assert (spool.kept(), spool.kept_size, spool.unused()) == ([], 0, [])
    assert spool.size == spool.contents().size > _SIZE
    counts = spool.counts()
    assert (counts.captured, counts.quarantined, counts.receipted) == (1, 0, 0)
    spool.settle(receipt_of(frame))
    assert spool.slides()[0].receipted == spool.slides()[0].frames == 1


def test_the_verbs_are_kept_with_who_used_them(tmp_path):
    spool = open_spool(tmp_path)
    message_id = _refused(spool)
    with open_kept(tmp_path) as kept:
        kept.discard("ada@desk", message_id, "captured again")
        (action,) = kept.actions_on(message_id)
    assert (action.operator, action.action) == ("ada@desk", "discard")
    assert "captured again" in action.detail
    assert spool.changed_elsewhere()
    assert (spool.kept(), spool.kept_size) == ([], 0)
    assert spool.unused()[0].message_id == message_id  # what became of the frame stays known


def test_a_frame_of_which_the_cloud_has_not_heard_yet_is_not_sent_again(tmp_path):
    message_id = _refused(open_spool(tmp_path), receipted=False)
    with open_kept(tmp_path) as kept:
        assert _reason(kept.retry, "ada@desk", message_id) == "not-told-yet"
    assert _file(tmp_path, message_id).exists()


def test_images_that_are_not_what_was_captured_are_not_sent(tmp_path):
    message_id = _refused(open_spool(tmp_path))
    file = _file(tmp_path, message_id)
    file.write_bytes(file.read_bytes()[:-1])
    with open_kept(tmp_path) as kept:
        assert _reason(kept.retry, "ada@desk", message_id) == "damaged-in-spool"
        assert [one.message_id for one in kept.files()] == [message_id]


def test_a_frame_whose_file_was_only_thought_damaged_can_be_sent(tmp_path):
    """A disk that was ill for an hour."""
    spool = open_spool(tmp_path)
    frame = spooled(spool, _SIZE)
    message_id = frame.message.message_id
    spool.quarantine(message_id, "damaged-in-spool", "it cannot be read")
    spool.settle(receipt_of(frame, sha256=None))
    assert spool.kept()[0].state == "damaged"
    with open_kept(tmp_path) as kept:
        kept.retry("ada@desk", message_id)
    assert spool.load(message_id)[1] == frame.images


def test_an_orphan_is_listed_and_discarded_but_cannot_be_sent(tmp_path):
    spool = open_spool(tmp_path)
    spool.close()
    orphan = new_id()
    _file(tmp_path, orphan, "cbor").write_bytes(b"never committed")
    spool = open_spool(tmp_path)
    assert [(one.message_id, one.state) for one in spool.kept()] == [(orphan, "orphan")]
    assert spool.kept_size == len(b"never committed")
    with open_kept(tmp_path) as kept:
        assert _reason(kept.retry, "ada@desk", orphan) == "no-message"
        kept.discard("ada@desk", orphan, "of a test")
    assert list((tmp_path / "images").iterdir()) == []


def test_images_that_are_not_kept_are_told_so(tmp_path):
    frame = spooled(open_spool(tmp_path))  # it waits: no verb is for it
    with open_kept(tmp_path) as kept:
        assert _reason(kept.retry, "ada@desk", frame.message.message_id) == "nothing-kept"
        assert _reason(kept.discard, "ada@desk", new_id(), "why") == "nothing-kept"


def test_a_retry_that_was_killed_half_way_is_no_orphan(tmp_path):
    """The file has its name back, and the index was not committed."""
    spool = open_spool(tmp_path)
    message_id = _refused(spool)
    spool.close()
    _file(tmp_path, message_id).rename(_file(tmp_path, message_id, "cbor"))
    spool = open_spool(tmp_path)
    assert [(one.message_id, one.state) for one in spool.kept()] == [(message_id, "kept")]
    with open_kept(tmp_path) as kept:
        kept.retry("ada@desk", message_id)
    assert spool.load(message_id)


def test_a_disk_that_fails_in_the_middle_of_a_retry_changes_nothing(tmp_path, monkeypatch):
    spool = open_spool(tmp_path)
    message_id = _refused(spool)
    with open_kept(tmp_path) as kept:

        def fails(_file):
            raise TransientError("spool-unwritable", "the disk is gone")

        monkeypatch.setattr(kept._files, "put_back", fails)
        with pytest.raises(TransientError):
            kept.retry("ada@desk", message_id)
    assert spool.next_entries(10) == []
    assert [one.message_id for one in spool.kept()] == [message_id]
