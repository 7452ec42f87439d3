"""Replays, in any order, change nothing; slides come together whatever arrives first."""

import random

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.erasures import erase_specimen
from hemaline_cloud.principal import operator, service
from hemaline_shared.ids import new_id
from hemaline_shared.messages import encode
from parts.captures import Slide
from parts.waiting import wait_until


def three_slides():
    """Fields, rejections, quarantines and ends of three slides, and messages that are wrong."""
    messages = []
    for _ in range(3):
        slide = Slide()
        messages += [slide.field(number) for number in range(4)]
        messages += [slide.rejected(4), slide.quarantined(5), slide.closed(7)]
        messages.append(slide.field(6, width=17))
    return messages


def test_every_message_three_times_and_out_of_order_changes_nothing(sender, ledger, objects):
    messages = three_slides()
    sender.send(*messages)
    first = {m.message_id: sender.receipt(m.message_id) for m in messages}
    before, files = ledger.all(), sorted(objects.path.rglob("*"))
    replays = messages * 3
    random.Random(5).shuffle(replays)
    for message in replays:
        sender.send_payload(encode(message), message.message_id)
    for message in messages:
        for nth in (2, 3, 4):
            assert sender.receipt(message.message_id, nth) == first[message.message_id]
    assert ledger.all() == before
    assert sorted(objects.path.rglob("*")) == files


def test_the_order_of_arrival_does_not_matter(sender, ledger):
    messages = three_slides()
    random.Random(6).shuffle(messages)
    sender.send(*messages)
    sender.wait_for_receipts(len(messages))
    ids = {m.message_id for m in messages if m.kind != "slide-closed"}
    assert set(ledger.states()) == ids
    assert ledger.rows("select frames_expected from slides") == [(7,)] * 3
    counts = ledger.rows(
        "select count(*) from frames join slides using (slide_id) group by slide_id"
    )
    assert counts == [(7,)] * 3
    assert (
        ledger.rows(
            "select 1 from slides where opened_at <> (select min(captured_at) from frames f "
            "where f.slide_id = slides.slide_id)"
        )
        == []
    )


def test_a_slide_that_is_closed_before_its_first_frame_waits_for_it(sender, ledger):
    slide = Slide()
    sender.send(slide.closed(1))
    sender.receipt(slide.closed(1).message_id)
    assert ledger.rows("select frames_expected from slides") == [(1,)]
    field = slide.field()
    sender.send(field)
    assert sender.receipt(field.message_id).outcome == "stored"
    assert ledger.rows("select count(*) from slides") == [(1,)]


def test_a_frame_that_was_refused_is_taken_in_when_it_comes_whole(sender, ledger, store):
    good = Slide().field()
    bad = good.model_copy(update={"width": 17})
    sender.send(bad)
    assert sender.receipt(good.message_id).outcome == "quarantined"
    for nth in (2, 3):
        sender.send_payload(encode(good), good.message_id)
        receipt = sender.receipt(good.message_id, nth)
        assert (receipt.outcome, receipt.sha256) == ("stored", good.images.sha256)
    assert ledger.states() == {good.message_id: "pending"}
    ((key,),) = ledger.rows("select object_key from fields")
    assert store.get(key) == good.images.inline
    assert ledger.rows("select frame_id from work") == [(good.message_id,)]
    assert ledger.rows("select captured, pending, quarantined from slides") == [(1, 1, 0)]
    assert ledger.rows("select actor, action, subject_id from audit_events") == [
        ("service:ingest", "readmit", good.message_id)
    ]


def test_a_frame_that_was_refused_stays_so_for_a_word_without_images(sender, ledger):
    slide = Slide()
    good = slide.field()
    sender.send(good.model_copy(update={"width": 17}))
    first = sender.receipt(good.message_id)
    word = slide.rejected(0, message_id=good.message_id, captured_at=good.captured_at)
    sender.send_payload(encode(word), good.message_id)
    second = sender.receipt(good.message_id, nth=2)
    assert (second.outcome, second.reason) == (first.outcome, first.reason)
    assert ledger.states() == {good.message_id: "quarantined"}


def test_a_damaged_copy_of_a_stored_frame_is_answered_as_stored(sender, ledger):
    good = Slide().field()
    sender.send(good)
    sender.receipt(good.message_id)
    damaged = good.images.model_copy(update={"inline": b"damaged"})
    sender.send_payload(encode(good.model_copy(update={"images": damaged})), good.message_id)
    assert sender.receipt(good.message_id, nth=2).outcome == "stored"
    assert ledger.reasons() == []


def test_the_same_dead_letter_is_kept_once(sender, ledger):
    message_id = new_id()
    sender.send_payload(b"\xff", message_id)
    sender.receipt(message_id)
    sender.send_payload(b"\xff", message_id)
    sender.receipt(message_id, nth=2)
    assert ledger.reasons() == ["not-cbor"]


def test_what_comes_of_an_erased_slide_is_a_dead_letter_and_stops_nobody(
    sender, ledger, database_url
):
    slide, other = Slide(), Slide()
    first, late, of_other = slide.rejected(0), slide.rejected(1), other.rejected(0)
    sender.send(first, slide.closed(1))
    sender.receipt(first.message_id)
    engine = make_engine(database_url, principal=service("tests"), pool_size=1)
    wait_until(lambda: ledger.rows("select state from slides") == [("complete",)])
    with unit_of_work(engine) as connection:
        erase_specimen(connection, operator("ada"), first.specimen_id, "asked for")
    engine.dispose()
    sender.send(late, of_other)
    assert sender.receipt(late.message_id).outcome == "quarantined"
    assert sender.receipt(of_other.message_id).outcome == "stored"
    assert ledger.rows("select slide_id from slides") == [(of_other.slide_id,)]
