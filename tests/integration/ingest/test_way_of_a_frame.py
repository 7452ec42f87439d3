"""The good way: what a device sends is stored, recorded once, acknowledged and receipted."""

from hemaline_shared.ids import cell_id
from hemaline_shared.packing import unpack
from parts.captures import Slide, images


def test_a_field_is_stored_and_queued_before_its_receipt(sender, ledger, store):
    field = Slide().field(count=3)
    sender.send(field)
    assert sender.receipt(field.message_id).outcome == "stored"
    assert ledger.states() == {field.message_id: "pending"}
    ((key, size, sha256),) = ledger.rows(
        "select object_key, object_size, object_sha256 from fields"
    )
    assert key.startswith("segments/")
    assert (size, sha256) == (field.images.size, field.images.sha256)
    assert unpack(store.get(key)) == images(3)
    assert ledger.rows("select frame_id, attempts from work") == [(field.message_id, 0)]
    cells = ledger.rows('select cell_id, "index" from cells order by 2')
    assert cells == [(cell_id(field.message_id, index), index) for index in range(3)]


def test_a_field_without_cells_goes_the_same_way(sender, ledger):
    field = Slide().field(count=0)
    sender.send(field)
    assert sender.receipt(field.message_id).outcome == "stored"
    assert ledger.rows("select frame_id from work") == [(field.message_id,)]


def test_a_stat_field_is_queued_before_a_routine_one(sender, ledger):
    routine, stat = Slide().field(0), Slide().field(0).model_copy(update={"priority": "stat"})
    for field in (routine, stat):
        sender.send(field)
        sender.receipt(field.message_id)
    order = "select frame_id from work order by priority, enqueued_at"
    assert ledger.rows(order) == [(stat.message_id,), (routine.message_id,)]


def test_frames_that_ended_at_the_edge_are_settled_at_once(sender, ledger):
    slide = Slide()
    rejected, quarantined = slide.rejected(0), slide.quarantined(1)
    sender.send(rejected, quarantined)
    assert sender.receipt(rejected.message_id).outcome == "stored"
    assert sender.receipt(quarantined.message_id).outcome == "stored"
    rows = ledger.rows(
        "select state, reason, detail, settled_at > '2020-1-1' from frames order by 1"
    )
    assert rows == [
        ("quarantined", "truncated", "it ends too early", True),
        ("rejected", "out-of-focus", "out-of-focus, dark", True),
    ]
    assert ledger.rows("select thumbnail from frames where state = 'rejected'") == [
        (rejected.thumbnail,)
    ]
    assert ledger.rows("select 1 from work") == []
