"""What the spool keeps, counts, refuses and gives back."""

import sqlite3
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hemaline_edge.spool.records import InlineLimit, Settled, SourceMark
from hemaline_edge.spool.view import open_view
from hemaline_shared.errors import PermanentError, TransientError
from parts.edge_frames import closing, new_field, new_rejection, open_spool, receipt_of, spooled


@contextmanager
def closing_connection(path):
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


def test_what_was_put_is_there_after_a_restart_oldest_first(tmp_path):
    spool = open_spool(tmp_path)
    frames = [spooled(spool, size) for size in (900, 100, 500)]
    spool.close()
    spool = open_spool(tmp_path)
    entries = spool.next_entries(10)
    assert [entry.message_id for entry in entries] == [f.message.message_id for f in frames]
    assert [spool.load(entry.message_id)[1] for entry in entries] == [f.images for f in frames]


@pytest.mark.parametrize("other", [None, "0" * 64])
def test_a_receipt_for_other_images_than_ours_deletes_nothing(tmp_path, other):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    assert spool.settle(receipt_of(frame, sha256=other)) is Settled.OTHER_IMAGES
    assert spool.load(frame.message.message_id)[1] == frame.images
    assert spool.counts().receipted == 0


def test_an_entry_and_its_file_go_with_the_receipt_and_a_second_receipt_changes_nothing(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    assert list((tmp_path / "images").iterdir())
    assert spool.settle(receipt_of(frame)) is Settled.DELETED
    assert spool.settle(receipt_of(frame)) is Settled.UNKNOWN
    assert not list((tmp_path / "images").iterdir())
    assert spool.next_entries(10) == []
    assert spool.size == 0
    assert spool.counts().receipted == 1


def test_a_message_without_images_goes_whatever_its_receipt_says_of_images(tmp_path):
    spool = open_spool(tmp_path)
    frame = new_rejection(spool.open_slide("test", "A"))
    spool.put(frame)
    assert spool.settle(receipt_of(frame, sha256="0" * 64)) is Settled.DELETED


def test_urgent_slides_go_first_and_stay_urgent(tmp_path):
    spool = open_spool(tmp_path)
    early = spooled(spool, label="A")
    urgent = new_field(spool.open_slide("test", "B", "stat"))
    spool.put(urgent)
    late = spooled(spool, label="A")
    order = [urgent, early, late]
    assert [e.message_id for e in spool.next_entries(9)] == [f.message.message_id for f in order]
    assert spool.open_slide("test", "B").priority == "stat"


def test_what_waits_of_a_slide_is_hastened_with_it(tmp_path):
    spool = open_spool(tmp_path)
    spooled(spool, label="A")
    hastened = spooled(spool, label="B")
    assert spool.open_slide("test", "B", "stat").priority == "stat"
    assert spool.next_entries(1)[0].message_id == hastened.message.message_id
    assert [slide.priority for slide in spool.slides()] == ["routine", "stat"]


def test_entries_are_told_apart_by_whether_their_images_fit_inside_a_message(tmp_path):
    spool = open_spool(tmp_path)
    small, large = spooled(spool, 1_000), spooled(spool, 50_000)
    rejection = new_rejection(spool.open_slide("test", "A"))
    spool.put(rejection)

    def found(inline, *, uploads):
        entries = spool.next_entries(9, uploads=uploads, inline=inline)
        assert all(inline.exceeded_by(entry) == uploads for entry in entries)
        return [entry.message_id for entry in entries]

    ids = [frame.message.message_id for frame in (small, large, rejection)]
    for inline in (InlineLimit(10_000, 10**9), InlineLimit(10**9, 10_000)):
        assert found(inline, uploads=True) == ids[1:2]
        assert found(inline, uploads=False) == [ids[0], ids[2]]
    assert found(InlineLimit(0, 0), uploads=False) == ids[2:]
    assert [e.message_id for e in spool.next_entries(1, skip=ids[:1])] == ids[1:2]


def test_what_was_learnt_is_known_after_a_restart_and_can_be_forgotten(tmp_path):
    spool = open_spool(tmp_path)
    assert spool.learnt("largest") is None
    spool.learn("largest", 7)
    spool.close()
    spool = open_spool(tmp_path)
    assert spool.learnt("largest") == 7
    spool.learn("largest", None)
    assert spool.learnt("largest") is None


def test_a_quarantined_receipt_is_counted_and_its_reason_kept(tmp_path):
    spool = open_spool(tmp_path)
    frame = new_rejection(spool.open_slide("test", "A"))
    spool.put(frame)
    spool.settle(receipt_of(frame, "quarantined", reason="wrong-hash", detail="it differs"))
    counts = spool.counts()
    assert (counts.captured, counts.rejected, counts.quarantined, counts.receipted) == (1, 0, 1, 1)
    (slide,) = spool.slides()
    assert (slide.rejected, slide.quarantined, slide.receipted) == (0, 1, 1)
    (unused,) = spool.unused()
    assert (unused.outcome, unused.reason, unused.origin) == (
        "quarantined",
        "wrong-hash",
        "the cloud",
    )


@pytest.mark.parametrize("new_frame", [new_field, new_rejection])
def test_whatever_the_cloud_quarantines_is_counted_as_quarantined_once(tmp_path, new_frame):
    spool = open_spool(tmp_path)
    frame = new_frame(spool.open_slide("test", "A"))
    spool.put(frame)
    spool.settle(receipt_of(frame, "quarantined", reason="wrong-hash"))
    counts = spool.counts()
    assert (counts.rejected, counts.quarantined, counts.receipted) == (0, 1, 1)


@pytest.mark.parametrize("new_frame", [new_field, new_rejection])
def test_what_the_agent_itself_quarantines_twice_is_counted_once(tmp_path, new_frame):
    spool = open_spool(tmp_path)
    frame = new_frame(spool.open_slide("test", "A"))
    spool.put(frame)
    for _ in range(2):
        spool.quarantine(frame.message.message_id, "damaged-in-spool", "it is damaged")
    counts = spool.counts()
    assert (counts.captured, counts.rejected, counts.quarantined) == (1, 0, 1)


def test_a_rejection_says_which_file_it_was_to_the_person_at_the_device_only(tmp_path):
    spool = open_spool(tmp_path)
    spool.put(new_rejection(spool.open_slide("test", "Jane Doe")))
    (unused,) = spool.unused()
    assert (unused.outcome, unused.reason, unused.origin) == (
        "rejected",
        "out-of-focus",
        "blurred.jpg",
    )
    (entry,) = spool.next_entries(10)
    header, _ = spool.load(entry.message_id)
    assert b"Jane" not in header
    assert b"blurred.jpg" not in header


def test_a_full_spool_refuses_new_capture_evicts_nothing_and_goes_on_after_receipts(tmp_path):
    spool = open_spool(tmp_path, quota_bytes=30_000)
    kept = [spooled(spool, 8_000) for _ in range(3)]
    with pytest.raises(TransientError) as refusal:
        spooled(spool, 8_000)
    assert refusal.value.reason == "spool-full"
    assert "30,000" in str(refusal.value)
    assert spool.counts().captured == len(spool.next_entries(10)) == len(kept)
    assert len(list((tmp_path / "images").iterdir())) == len(kept)
    spool.settle(receipt_of(kept[0]))
    spooled(spool, 8_000)


def test_a_full_spool_is_seen_by_the_readiness_check(tmp_path):
    spool = open_spool(tmp_path, quota_bytes=10_000)
    assert spool.refusal() is None
    spooled(spool, 9_000 - 1_500)
    assert "nothing more is captured" in spool.refusal(2_000)


def test_a_disk_below_its_floor_refuses_capture(tmp_path):
    spool = open_spool(tmp_path)
    spool._floor = spool.disk_free() + 1024**3
    with pytest.raises(TransientError, match="must stay free") as refusal:
        spooled(spool)
    assert refusal.value.reason == "spool-full"


def test_a_frame_larger_than_the_whole_spool_is_refused_for_good(tmp_path):
    spool = open_spool(tmp_path, quota_bytes=10_000)
    with pytest.raises(PermanentError) as refusal:
        spooled(spool, 20_000)
    assert refusal.value.reason == "larger-than-spool"


def test_a_frame_as_large_as_the_whole_spool_is_refused_for_good_too(tmp_path):
    spool = open_spool(tmp_path / "roomy")
    spooled(spool, 5_000)
    small = open_spool(tmp_path / "small", quota_bytes=spool.size)
    with pytest.raises(PermanentError) as refusal:
        spooled(small, 5_000)
    assert refusal.value.reason == "larger-than-spool"


def test_a_disk_that_a_frame_would_bring_below_its_floor_refuses_it(tmp_path, monkeypatch):
    spool = open_spool(tmp_path)
    monkeypatch.setattr(spool, "disk_free", lambda: 100_000)
    spool._floor = 90_000
    assert spool.refusal(10_000) is None
    assert "must stay free" in spool.refusal(10_001)


def test_refusals_are_counted_across_restarts(tmp_path):
    spool = open_spool(tmp_path)
    spool.count_refusal()
    spool.close()
    spool = open_spool(tmp_path)
    spool.count_refusal()
    assert spool.counts().refused == 2


def test_a_source_is_marked_in_the_same_transaction_as_its_frame(tmp_path):
    spool = open_spool(tmp_path)
    slide = spool.open_slide("test", "A")
    twice = new_field(slide, mark=SourceMark("test", "a.jpg", "1"))
    spool.put(twice)
    assert spool.seen("test", "a.jpg") == "1"
    wrong_sequence = new_field(slide, mark=SourceMark("test", "b.jpg", "1"))
    with pytest.raises(RuntimeError):
        spool.put(wrong_sequence)
    assert spool.seen("test", "b.jpg") is None
    assert spool.counts().captured == 1
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_a_label_keeps_its_slide_until_that_is_closed_and_its_specimen_after(tmp_path):
    spool = open_spool(tmp_path)
    first = spool.open_slide("test", "A")
    spooled(spool)
    assert spool.open_slide("test", "A").slide_id == first.slide_id
    assert spool.open_slide("elsewhere", "A").specimen_id != first.specimen_id
    spool.close_slide(closing(spool.open_slide("test", "A")))
    second = spool.open_slide("test", "A")
    assert second.slide_id != first.slide_id
    assert second.specimen_id == first.specimen_id


def test_a_closed_slide_says_how_many_frames_it_had_even_in_a_full_spool(tmp_path):
    spool = open_spool(tmp_path, quota_bytes=10_000)
    spooled(spool, 7_000)
    spool.close_slide(closing(spool.open_slide("test", "A")))
    assert [entry.kind for entry in spool.next_entries(10)] == ["field", "slide-closed"]
    assert spool.contents().frames == 1
    assert spool.slides()[0].closed_at


def test_a_slide_that_never_got_a_frame_is_forgotten_when_closed(tmp_path):
    spool = open_spool(tmp_path)
    spool.close_slide(closing(spool.open_slide("test", "A")))
    assert spool.slides() == []
    assert spool.next_entries(10) == []


def test_only_slides_without_new_frames_are_idle(tmp_path):
    spool = open_spool(tmp_path)
    spooled(spool)
    assert spool.open_slides("test", timedelta(minutes=1)) == []
    assert len(spool.open_slides("test", timedelta())) == 1


def test_two_agents_cannot_use_one_spool(tmp_path):
    spool = open_spool(tmp_path)
    with pytest.raises(PermanentError) as refusal:
        open_spool(tmp_path)
    assert refusal.value.reason == "spool-in-use"
    spool.close()
    open_spool(tmp_path).close()


def test_another_process_reads_while_the_agent_writes(tmp_path):
    spool = open_spool(tmp_path)
    spooled(spool, label="A")
    view = open_view(tmp_path)
    assert [slide.label for slide in view.slides()] == ["A"]
    spooled(spool, label="B")
    assert [slide.frames for slide in view.slides()] == [1, 1]
    with pytest.raises(TransientError):
        view._database.rows("delete from slides")
    view.close()


def test_reading_a_spool_that_was_never_written_says_so(tmp_path):
    with pytest.raises(PermanentError, match="has the agent ever run"):
        open_view(tmp_path)


def test_every_session_has_the_next_number_also_after_those_that_could_not_be_recorded(tmp_path):
    for last, expected in ((0, 1), (1, 2), (7, 8), (0, 9)):
        spool = open_spool(tmp_path)
        assert spool.next_session(last) == spool.session() == expected
        spool.close()


def test_each_spool_that_is_begun_has_an_id_of_its_own_and_keeps_it(tmp_path):
    ids = []
    for name in ("one", "one", "other"):
        spool = open_spool(tmp_path / name)
        ids.append(spool.own_id())
        assert spool.spool_id() == ids[-1]
        spool.close()
    assert ids[0] == ids[1] != ids[2]
    assert 0 not in ids


VERSION_1 = """
create table counters (name text primary key, value integer not null) without rowid;
create table slides (
    slide_id text primary key, specimen_id text not null, scope text not null,
    label text not null, opened_at text not null, last_frame_at text not null, closed_at text,
    frames integer not null default 0, rejected integer not null default 0,
    quarantined integer not null default 0, receipted integer not null default 0
);
create unique index one_open_slide on slides (scope, label) where closed_at is null;
create table entries (
    position integer primary key autoincrement, message_id text not null unique,
    slide_id text not null references slides, kind text not null, header blob not null,
    size integer not null, image_bytes integer not null, sha256 text, spooled_at text not null
);
create table seen (
    scope text not null, key text not null, version text not null, primary key (scope, key)
) without rowid;
create table unused (
    message_id text primary key, slide_id text not null references slides, at text not null,
    outcome text not null, reason text not null, detail text not null, origin text not null
);
"""


def test_a_spool_of_the_first_version_is_brought_up_to_date_with_all_that_waits(tmp_path):
    spool = open_spool(tmp_path)
    frame = spooled(spool)
    spool.close()
    index, old = tmp_path / "index.sqlite3", tmp_path / "old.sqlite3"
    with closing_connection(old) as connection:
        connection.executescript(f"{VERSION_1} pragma user_version = 1; attach '{index}' as new;")
        for table in ("counters", "slides", "entries"):
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
            names = ", ".join(columns)
            connection.execute(f"insert into {table} ({names}) select {names} from new.{table}")
        connection.commit()
    index.unlink()
    old.rename(index)
    with pytest.raises(PermanentError, match="start the agent once"):
        open_view(tmp_path)
    spool = open_spool(tmp_path)
    assert spool.load(frame.message.message_id)[1] == frame.images
    assert spool.next_entries(9)[0].message_id == frame.message.message_id
    spooled(spool)
    assert spool.settle(receipt_of(frame)) is Settled.DELETED
    assert spool.counts().captured == 2


def test_a_newer_version_s_spool_is_not_touched(tmp_path):
    open_spool(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "index.sqlite3")
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(PermanentError) as refusal:
        open_spool(tmp_path)
    assert refusal.value.reason == "spool-from-newer-version"


def test_a_damaged_index_is_told_with_what_to_do(tmp_path):
    spool = open_spool(tmp_path)
    spooled(spool)
    spool.close()
    (tmp_path / "index.sqlite3").write_bytes(b"nonsense" * 1000)
    for leftover in tmp_path.glob("index.sqlite3-*"):
        leftover.unlink()
    with pytest.raises(PermanentError, match="move the spool's directory aside") as damage:
        open_spool(tmp_path)
    assert damage.value.reason == "spool-damaged"


def test_a_directory_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(TransientError, match=r"set spool.path") as refusal:
        open_spool(tmp_path / "file" / "spool")
    assert refusal.value.reason == "spool-unwritable"
