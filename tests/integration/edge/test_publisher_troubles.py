"""What is wrong with one frame, one size or one address stops no other frame, and is told."""

import logging
import threading
import time

import pytest

from hemaline_edge.publisher.publisher import Publisher
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.kept import open_kept
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Receipt, UploadGrant
from hemaline_shared.topics import DeviceName
from parts.edge_frames import new_field, new_rejection_with, receipt_of, spooled
from parts.responder import ObjectStore, Responder, eventually, silent, stored
from parts.thin_line import ThinLine


def waiting(spool):
    return spool.contents().messages


def drained(spool):
    return lambda: waiting(spool) == 0


def value(counter):
    return counter._value.get()


def granting(store):
    def grant(request):
        key = f"/uploads/{request.message_id}"
        return UploadGrant(
            message_id=request.message_id, object_key=key, url=f"{store.url}{key}?signature=secret"
        )

    return grant


def file_of(spool, frame):
    return spool.directory / "images" / f"{frame.message.message_id}.cbor"


def make_unreadable(spool, frame):
    """EIO, as of a bad sector."""
    file = file_of(spool, frame)
    file.unlink()
    file.symlink_to("/proc/self/mem")


# Files of the spool


def test_a_file_that_cannot_be_read_lets_the_others_go_and_is_told(broker, spool, publish):
    frames = [spooled(spool, size) for size in (1_000, 2_000, 3_000)]
    make_unreadable(spool, frames[0])
    with Responder(broker.settings, stored) as cloud:
        publisher, _ = publish(broker.settings, unreadable_tries=1000)
        assert eventually(lambda: waiting(spool) == 1)
        assert eventually(lambda: "cannot be read, the others go on" in publisher.problem())
        assert publisher.unreadable == 1
    assert {m.message_id for m in cloud.messages} == {f.message.message_id for f in frames[1:]}


def test_a_file_that_can_be_read_again_is_sent(broker, spool, publish):
    frame = spooled(spool, 1_000)
    make_unreadable(spool, frame)
    with Responder(broker.settings, stored) as cloud:
        publisher, _ = publish(broker.settings, unreadable_tries=1000)
        assert eventually(lambda: publisher.unreadable == 1)
        file_of(spool, frame).unlink()
        file_of(spool, frame).write_bytes(frame.images)
        assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)
    assert cloud.messages[0].images.inline == frame.images


def test_a_file_that_stays_unreadable_is_quarantined_after_some_tries(
    broker, spool, publish, caplog
):
    frame = spooled(spool, 1_000)
    make_unreadable(spool, frame)
    with Responder(broker.settings, stored) as cloud, caplog.at_level(logging.ERROR):
        publisher, metrics = publish(broker.settings, unreadable_tries=3)
        assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)
    (message,) = cloud.messages
    assert (message.kind, message.reason) == ("quarantined", "damaged-in-spool")
    assert "after 3 tries" in message.detail
    assert value(metrics.quarantined.labels("damaged-in-spool")) == 1
    assert spool.unused()[0].message_id == frame.message.message_id
    assert f"frame {frame.message.message_id} is quarantined" in caplog.text


def test_a_disk_that_is_away_is_charged_to_no_frame(broker, spool, publish):
    frames = [spooled(spool, 1_000) for _ in range(3)]
    images = spool.directory / "images"
    images.rename(spool.directory / "away")
    with Responder(broker.settings, stored) as cloud:
        publisher, _ = publish(broker.settings, unreadable_tries=2)
        assert eventually(lambda: "cannot be" in (publisher.problem() or ""))
        time.sleep(3)
        assert not cloud.messages
        (spool.directory / "away").rename(images)
        assert eventually(drained(spool))
    assert {m.kind for m in cloud.messages} == {"field"}
    assert spool.counts().receipted == len(frames)


def test_a_damaged_header_costs_its_frame_only(broker, spool, publish):
    broken, whole = spooled(spool, 1_000), spooled(spool, 2_000)
    with spool._database.transaction() as connection:
        connection.execute(
            "update entries set header = x'ff' where message_id = ?",
            (str(broken.message.message_id),),
        )
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings)
        assert eventually(drained(spool))
    told = {m.message_id: m.kind for m in cloud.messages}
    assert told == {broken.message.message_id: "quarantined", whole.message.message_id: "field"}


def test_more_unreadable_files_than_the_window_holds_block_nothing(broker, spool, publish):
    for _ in range(6):
        make_unreadable(spool, spooled(spool, 1_000))
    last = spooled(spool, 2_000)
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings, window_messages=2, unreadable_tries=1000)
        assert eventually(lambda: bool(cloud.messages))
    assert cloud.messages[0].message_id == last.message.message_id


# Receipts


@pytest.mark.parametrize("other", ["0" * 64, None])
def test_a_receipt_for_other_images_deletes_nothing_is_told_and_the_frame_sent_again(
    broker, spool, publish, other
):
    frame = spooled(spool, 1_000)

    def answer(message, times):
        return [receipt_of(frame, sha256=other)] if times < 3 else stored(message, times)

    with Responder(broker.settings, answer) as cloud:
        publisher, metrics = publish(broker.settings)
        assert eventually(lambda: "holds other images" in (publisher.problem() or ""))
        assert file_of(spool, frame).exists()
        assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)
    assert cloud.arrivals[frame.message.message_id] >= 3
    assert value(metrics.mismatched_receipts) == 2


def test_urgent_frames_overtake_those_that_wait(broker, spool, publish):
    for _ in range(6):
        spooled(spool, 1_000, label="routine")
    urgent = new_field(spool.open_slide("test", "urgent", "stat"), 1_000)
    spool.put(urgent)
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings, window_messages=1)
        assert eventually(drained(spool))
    assert cloud.messages[0].message_id == urgent.message.message_id


# Sizes


def restart(broker, extra):
    broker.stop()
    broker.config_extra = extra
    broker.start()


def test_a_size_that_the_broker_refuses_is_learnt_and_all_else_flows(
    broker, spool, publish, caplog
):
    restart(broker, "message_size_limit 20000\n")
    for number in range(4):
        spooled(spool, 50_000 + number)
    small = spooled(spool, 1_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = granting(store)
        with caplog.at_level(logging.INFO):
            publisher, _ = publish(broker.settings)
            assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)
        assert caplog.text.count("is too large for the broker: 50,") == 1
        assert "lost broker" not in caplog.text
        inline = [m.message_id for m in cloud.messages if m.images.inline is not None]
        assert inline == [small.message.message_id]
        caplog.clear()
        spooled(spool, 60_000)
        publisher.wake()
        assert eventually(drained(spool))
        assert "too large" not in caplog.text


def test_a_learnt_size_is_known_after_a_restart_and_forgotten_with_another_broker(
    broker, spool, publish, caplog
):
    restart(broker, "message_size_limit 20000\n")
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = granting(store)
        spooled(spool, 50_000)
        first, _ = publish(broker.settings)
        assert eventually(drained(spool))
        first.stop()
        first._link.stop()
        caplog.clear()
        spooled(spool, 51_000)
        second, _ = publish(broker.settings)
        assert eventually(drained(spool))
        assert "too large" not in caplog.text
        second.stop()
        second._link.stop()
        restart(broker, "")
        frame = spooled(spool, 52_000)
        elsewhere = broker.settings.model_copy(update={"host": "localhost"})
        publish(elsewhere)
        assert eventually(drained(spool))
    assert cloud.messages[-1].images.inline == frame.images


def test_a_thumbnail_that_is_too_large_for_the_broker_is_made_smaller(broker, spool, publish):
    restart(broker, "message_size_limit 8000\n")
    spool.put(new_rejection_with(spool.open_slide("test", "A"), thumbnail_px=400))
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings)
        assert eventually(drained(spool))
    assert 100 < len(cloud.messages[0].thumbnail) < 8000


class ClosesAtSize:
    """Ends a connection when so much has come on it at once, as some gateways do, without a word.

    The bytes of a connection are counted from each pause on.
    """

    def __init__(self, line, limit):
        self.line, self.limit = line, limit
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        last, since, start = self.line.sent_up, time.monotonic(), self.line.sent_up
        while not self._over.wait(0.01):
            now = self.line.sent_up
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.3:
                start = now
            if now - start > self.limit:
                self.line.cut()
                start = last = self.line.sent_up


def test_a_size_at_which_connections_end_without_a_word_is_learnt(broker, spool, publish, caplog):
    large = spooled(spool, 300_000)
    small = [spooled(spool, 500) for _ in range(3)]
    with (
        ObjectStore() as store,
        Responder(broker.settings, stored) as cloud,
        ThinLine(broker.settings.port, bytes_per_s=400_000) as line,
        ClosesAtSize(line, 100_000),
    ):
        cloud.grant = granting(store)
        far = broker.settings.model_copy(update={"port": line.port})
        publish(far)
        assert eventually(drained(spool))
    assert "must be too large for the broker" in caplog.text
    assert "300," in caplog.text
    by_id = {m.message_id: m.images for m in cloud.messages}
    assert by_id[large.message.message_id].object_key in store.objects
    assert all(by_id[frame.message.message_id].inline for frame in small)
    assert line.connections <= 6


def test_a_size_that_never_gets_a_receipt_goes_by_claim_check(broker, spool, publish, caplog):
    large, small = spooled(spool, 50_000), spooled(spool, 500)

    def drops_large_ones(message, times):
        return (
            silent(message, times)
            if message.images.inline == large.images
            else stored(message, times)
        )

    with ObjectStore() as store, Responder(broker.settings, drops_large_ones) as cloud:
        cloud.grant = granting(store)
        publish(broker.settings)
        assert eventually(drained(spool))
    assert "no receipt after 3 tries" in caplog.text
    assert cloud.arrivals[large.message.message_id] == 4
    assert cloud.arrivals[small.message.message_id] == 1


def test_no_size_is_suspected_while_nothing_gets_a_receipt(broker, spool, publish, caplog):
    small = spooled(spool, 500)

    def answer(message, times):
        slow = len(message.images.inline) > 10_000 and times < 5
        return silent(message, times) if slow else stored(message, times)

    with Responder(broker.settings, answer) as cloud:
        publisher, _ = publish(broker.settings)
        assert eventually(drained(spool))
        large = spooled(spool, 50_000)
        publisher.wake()
        assert eventually(drained(spool))
    assert cloud.arrivals[small.message.message_id] == 1
    assert cloud.arrivals[large.message.message_id] == 5
    assert "too large" not in caplog.text


def test_what_was_only_thought_too_large_goes_inline_again_where_its_upload_fails(
    broker, spool, publish, caplog
):
    large, small = spooled(spool, 50_000), spooled(spool, 500)

    def answer(message, times):
        slow = message.images.inline == large.images and times < 5
        return silent(message, times) if slow else stored(message, times)

    with ObjectStore() as store, Responder(broker.settings, answer) as cloud:
        store.statuses = [503] * 9
        cloud.grant = granting(store)
        publish(broker.settings)
        assert eventually(drained(spool))
    assert "no receipt after 3 tries" in caplog.text
    assert cloud.arrivals[large.message.message_id] == 5
    assert cloud.arrivals[small.message.message_id] == 1


# Uploads


def test_a_grant_refused_for_good_quarantines_the_frame_and_keeps_its_images(
    broker, spool, publish
):
    large, small = spooled(spool, 50_000), spooled(spool, 500)

    def refuse(request):
        return UploadGrant(message_id=request.message_id, refusal="at most 10", permanent=True)

    with Responder(broker.settings, stored) as cloud:
        cloud.grant = refuse
        publish(broker.settings, inline_limit_bytes=10_000)
        assert eventually(drained(spool))
    told = {m.message_id: m for m in cloud.messages}
    assert told[small.message.message_id].kind == "field"
    quarantined = told[large.message.message_id]
    assert (quarantined.kind, quarantined.reason) == ("quarantined", "upload-refused")
    assert "at most 10" in quarantined.detail
    assert file_of(spool, large).with_suffix(".kept").read_bytes() == large.images
    assert spool.unused()[0].reason == "upload-refused"


def test_a_frame_is_sent_again_by_an_operator_s_verb_while_the_agent_runs(broker, spool, publish):
    large, refuses = spooled(spool, 50_000), True
    message_id = large.message.message_id

    def grant(request):
        if refuses:
            return UploadGrant(message_id=request.message_id, refusal="at most 10", permanent=True)
        return granting(store)(request)

    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = grant
        publish(broker.settings, inline_limit_bytes=10_000)
        assert eventually(drained(spool))
        refuses = False  # the cloud's setting was raised
        with open_kept(spool.directory) as kept:
            kept.retry("ada@desk", message_id)
        assert eventually(lambda: cloud.arrivals[message_id] == 2)
        assert eventually(drained(spool))
    again = cloud.messages[-1]
    assert (again.kind, again.images.sha256) == ("field", large.message.images.sha256)
    assert not file_of(spool, large).exists()
    assert spool.kept() == []


def test_grants_refused_for_now_are_asked_for_ever_more_rarely_and_block_nothing(
    broker, spool, publish
):
    for _ in range(8):
        spooled(spool, 50_000)
    small = [spooled(spool, 500) for _ in range(20)]
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        publisher, _ = publish(broker.settings, inline_limit_bytes=10_000, window_messages=2)
        assert eventually(lambda: waiting(spool) == 8)
        assert {m.message_id for m in cloud.messages} == {f.message.message_id for f in small}
        assert "no uploads in this test" in publisher.problem()
        asked = {request.message_id for request in cloud.upload_requests}
        assert eventually(lambda: len(asked | {r.message_id for r in cloud.upload_requests}) == 8)
        cloud.grant = granting(store)
        assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)


def test_a_frame_taken_for_too_large_goes_inline_after_all_where_no_upload_is_taken(
    broker, spool, publish
):
    large = spooled(spool, 50_000)
    spooled(spool, 500)

    def loses_some(message, times):
        lost = message.message_id == large.message.message_id and times < 5
        return silent(message, times) if lost else stored(message, times)

    with Responder(broker.settings, loses_some) as cloud:
        cloud.grant = lambda request: UploadGrant(
            message_id=request.message_id, refusal="no uploads here", permanent=True
        )
        publish(broker.settings)
        assert eventually(drained(spool))
    assert {m.kind for m in cloud.messages} == {"field"}


def test_an_upload_goes_to_no_host_that_is_not_named_without_https(broker, spool, publish, caplog):
    spooled(spool, 50_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = granting(store)
        publisher, _ = publish(broker.settings, inline_limit_bytes=10_000, upload_hosts=())
        assert eventually(lambda: "publisher.upload_hosts" in (publisher.problem() or ""))
        assert "127.0.0.1" in publisher.problem()
        assert "secret" not in publisher.problem() + caplog.text
        assert not store.objects
    assert waiting(spool) == 1


def test_an_upload_trusts_the_site_s_own_authority_and_no_other(
    broker, spool, publish, own_authority
):
    frame = spooled(spool, 50_000)
    with (
        ObjectStore(own_authority.server_context()) as store,
        Responder(broker.settings, stored) as cloud,
    ):
        cloud.grant = granting(store)
        settings = {"inline_limit_bytes": 10_000, "upload_hosts": ()}
        wary, _ = publish(broker.settings, **settings)
        assert eventually(lambda: "is not trusted" in (wary.problem() or ""))
        assert not store.objects
        wary.stop()
        wary._link.stop()
        publish(broker.settings, **settings, upload_ca=own_authority.certificate)
        assert eventually(drained(spool))
    assert frame.images in store.objects.values()


def test_a_file_of_certificates_that_cannot_be_used_is_told_at_the_start(spool, tmp_path):
    settings = PublisherSettings(upload_ca=tmp_path / "nowhere.pem")
    with pytest.raises(PermanentError, match=r"publisher.upload_ca .*nowhere.pem"):
        Publisher(spool, DeviceName("lab", "scope"), settings, metrics=None)


def test_a_strange_receipt_is_no_answer(broker, spool, publish):
    frame = spooled(spool, 1_000)

    def answer(message, times):
        strange = Receipt(message_id=message.slide_id, outcome="stored")
        return [strange] if times == 1 else stored(message, times)

    with Responder(broker.settings, answer) as cloud:
        publish(broker.settings)
        assert eventually(drained(spool))
    assert cloud.arrivals[frame.message.message_id] >= 2
