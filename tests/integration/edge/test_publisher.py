"""Every spooled message reaches the cloud at least once, whatever the network does."""

import logging
import threading
import time
from uuid import uuid4

from hemaline_shared.messages import Receipt, UploadGrant
from parts.edge_frames import closing, new_rejection, spooled
from parts.responder import ObjectStore, Responder, eventually, is_whole, silent, stored


def waiting(spool):
    return spool.contents().messages


def drained(spool):
    return lambda: waiting(spool) == 0


def ids(messages):
    return [message.message_id for message in messages]


def value(counter):
    return counter._value.get()


def test_messages_arrive_whole_oldest_first_and_leave_with_their_receipts(
    any_broker, spool, publish
):
    frames = [spooled(spool, size) for size in (2_000, 90_000, 10)]
    spool.put(new_rejection(spool.open_slide("test", "A")))
    spool.close_slide(closing(spool.open_slide("test", "A")))
    with Responder(any_broker.settings, stored) as cloud:
        publish(any_broker.settings)
        assert eventually(drained(spool))
    assert [message.kind for message in cloud.messages] == [
        *["field"] * 3,
        "rejected",
        "slide-closed",
    ]
    assert ids(cloud.messages)[:3] == [frame.message.message_id for frame in frames]
    assert all(is_whole(message.images) for message in cloud.messages[:3])
    assert spool.counts().receipted == 4
    assert eventually(lambda: spool.size == 0)  # the files go after their rows


def test_what_is_spooled_later_is_sent_at_once(broker, spool, publish):
    with Responder(broker.settings, stored):
        publisher, _ = publish(broker.settings)
        assert eventually(lambda: publisher._link.connected)
        time.sleep(0.2)
        started = time.monotonic()
        spooled(spool)
        publisher.wake()
        assert eventually(drained(spool))
        assert time.monotonic() - started < 0.8, "it waited for a timer"


def test_lost_receipts_make_messages_go_out_again(broker, spool, publish):
    for _ in range(5):
        spooled(spool)

    def lose_the_first_two(message, times):
        return stored(message, times) if times > 2 else []

    with Responder(broker.settings, lose_the_first_two) as cloud:
        _, metrics = publish(broker.settings)
        assert eventually(drained(spool))
    assert all(times >= 3 for times in cloud.arrivals.values())
    assert value(metrics.resent) >= 10


def test_duplicate_and_strange_receipts_change_nothing(broker, spool, publish):
    frames = [spooled(spool) for _ in range(3)]

    def shower(message, times):
        strange = Receipt(message_id=uuid4(), outcome="quarantined", reason="x")
        return [strange, *3 * stored(message, times)]

    with Responder(broker.settings, shower):
        publish(broker.settings)
        assert eventually(drained(spool))
        time.sleep(0.3)
    counts = spool.counts()
    assert (counts.receipted, counts.quarantined) == (len(frames), 0)


def test_a_quarantined_receipt_deletes_counts_and_says_why_in_the_log(
    broker, spool, publish, caplog
):
    frame = spooled(spool)

    def refuse(message, _times):
        refusal = {"outcome": "quarantined", "reason": "invalid-cells", "detail": "d"}
        return [receipt.model_copy(update=refusal) for receipt in stored(message, _times)]

    with Responder(broker.settings, refuse), caplog.at_level(logging.ERROR):
        publish(broker.settings)
        assert eventually(drained(spool))
    assert spool.counts().quarantined == 1
    assert spool.unused()[0].reason == "invalid-cells"
    assert f"{frame.message.message_id}: invalid-cells" in caplog.text


def test_a_receipt_for_other_images_than_ours_is_no_receipt(broker, spool, publish):
    frame = spooled(spool)

    def keep_others_first(message, times):
        receipts = stored(message, times)
        changed = {"sha256": "0" * 64} if times == 1 else {}
        return [receipt.model_copy(update=changed) for receipt in receipts]

    with Responder(broker.settings, keep_others_first) as cloud:
        publish(broker.settings)
        assert eventually(drained(spool))
    assert cloud.arrivals[frame.message.message_id] == 2


def test_never_more_than_the_window_is_under_way(broker, spool, publish):
    for _ in range(12):
        spooled(spool)
    with Responder(broker.settings, silent) as cloud:
        publish(broker.settings, window_messages=3, receipt_timeout_s=30)
        assert eventually(lambda: len(cloud.arrivals) == 3)
        time.sleep(0.5)
        assert len(cloud.arrivals) == 3


def test_the_window_is_bounded_in_bytes_yet_lets_one_large_message_through(broker, spool, publish):
    for _ in range(4):
        spooled(spool, 50_000)
    with Responder(broker.settings, silent) as cloud:
        publish(broker.settings, window_bytes=10_000, receipt_timeout_s=30)
        assert eventually(lambda: len(cloud.arrivals) == 1)
        time.sleep(0.5)
        assert len(cloud.arrivals) == 1
        cloud.answer = stored
    assert waiting(spool) == 4


def test_silence_from_the_cloud_makes_the_publisher_not_ready(broker, spool, publish):
    spooled(spool)
    with Responder(broker.settings, silent):
        publisher, _ = publish(broker.settings)
        assert eventually(lambda: "is the cloud's ingest running" in (publisher.problem() or ""))


def test_resending_slows_down(broker, spool, publish):
    spooled(spool)
    with Responder(broker.settings, silent) as cloud:
        publish(broker.settings, receipt_timeout_s=0.1, slowest_resend_s=60)
        time.sleep(3)
        (times,) = cloud.arrivals.values()
    assert 2 <= times <= 15


def test_a_broker_that_is_away_at_the_start_is_waited_for(broker, spool, publish):
    broker.kill()
    frames = [spooled(spool) for _ in range(3)]
    publisher, _ = publish(broker.settings)
    time.sleep(1)
    assert waiting(spool) == 3
    broker.start()
    with Responder(broker.settings, stored):
        assert eventually(drained(spool))
    assert eventually(lambda: publisher.problem() is None)
    assert spool.counts().receipted == len(frames)


def test_a_broker_that_is_killed_and_wiped_loses_nothing(broker, spool, publish):
    total = 120
    for _ in range(total):
        spooled(spool, 20_000)
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings)
        for _ in range(2):
            before = spool.counts().receipted
            assert eventually(lambda before=before: spool.counts().receipted > before)
            broker.kill()
            broker.wipe()
            broker.start()
        assert eventually(drained(spool))
    assert len(cloud.arrivals) == total
    assert spool.counts().receipted == total


def test_a_publish_that_the_broker_refuses_is_visible_and_no_hot_loop(
    broker, spool, publish, tmp_path, caplog
):
    acl = tmp_path / "acl"
    acl.write_text("topic read #\ntopic write hemaline/v1/lab/other/#\n")
    broker.stop()
    broker.config_extra = f"acl_file {acl}\n"
    broker.start()
    spooled(spool)
    publisher, metrics = publish(broker.settings, receipt_timeout_s=0.2, slowest_resend_s=0.4)
    assert eventually(lambda: "Not authorized" in (publisher.problem() or ""))
    assert "may this device" in publisher.problem()
    time.sleep(2)
    refusals = value(metrics.broker_refusals.labels("Not authorized"))
    assert 2 <= refusals <= 11
    assert caplog.text.count("refuses what we publish") == 1
    assert waiting(spool) == 1


def test_a_refused_device_drains_once_it_is_allowed(broker, spool, publish, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n")
    broker.stop()
    broker.config_extra = f"acl_file {acl}\n"
    broker.start()
    spooled(spool)
    publisher, _ = publish(broker.settings)
    assert eventually(lambda: publisher.problem() is not None)
    acl.write_text("topic readwrite #\n")
    broker.stop()
    broker.start()
    with Responder(broker.settings, stored):
        assert eventually(drained(spool))
    assert eventually(lambda: publisher.problem() is None)


def granting(store):
    def grant(request):
        key = f"/uploads/{request.message_id}"
        return UploadGrant(
            message_id=request.message_id, object_key=key, url=f"{store.url}{key}?signature=secret"
        )

    return grant


def test_images_over_the_inline_limit_go_by_claim_check(broker, spool, publish, caplog):
    small, large = spooled(spool, 1_000), spooled(spool, 200_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = granting(store)
        with caplog.at_level(logging.DEBUG):
            publish(broker.settings, inline_limit_bytes=100_000)
            assert eventually(drained(spool))
    by_id = {message.message_id: message.images for message in cloud.messages}
    assert by_id[small.message.message_id].inline == small.images
    claimed = by_id[large.message.message_id]
    assert claimed.inline is None
    assert store.objects[claimed.object_key] == large.images
    (request,) = cloud.upload_requests
    assert (request.size, request.sha256) == (len(large.images), claimed.sha256)
    assert "secret" not in caplog.text


def test_a_broker_that_takes_only_small_packets_gets_claim_checks(broker, spool, publish):
    broker.stop()
    broker.config_extra = "max_packet_size 30000\n"
    broker.start()
    spooled(spool, 50_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = granting(store)
        publish(broker.settings)
        assert eventually(drained(spool))
    assert cloud.messages[0].images.object_key in store.objects


def test_a_refused_grant_is_visible_and_asked_for_again_later(broker, spool, publish):
    spooled(spool, 50_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        publisher, metrics = publish(broker.settings, inline_limit_bytes=10_000)
        assert eventually(lambda: "no uploads in this test" in (publisher.problem() or ""))
        assert value(metrics.upload_failures) >= 1
        cloud.grant = granting(store)
        assert eventually(drained(spool))
        assert eventually(lambda: publisher.problem() is None)


def test_a_failed_upload_is_asked_for_again_and_its_address_never_told(
    broker, spool, publish, caplog
):
    spooled(spool, 50_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        store.statuses = [403, 500]
        cloud.grant = granting(store)
        with caplog.at_level(logging.DEBUG):
            publish(broker.settings, inline_limit_bytes=10_000)
            assert eventually(drained(spool))
    assert len(cloud.upload_requests) >= 3
    assert "403" in caplog.text
    assert "secret" not in caplog.text
    assert store.url not in caplog.text


def test_a_store_out_of_reach_is_asked_again(broker, spool, publish):
    spooled(spool, 50_000)
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        cloud.grant = lambda request: UploadGrant(
            message_id=request.message_id, object_key="k", url="http://127.0.0.1:9/k"
        )
        publisher, _ = publish(broker.settings, inline_limit_bytes=10_000)
        assert eventually(lambda: "cannot be reached" in (publisher.problem() or ""))
        cloud.grant = granting(store)
        assert eventually(drained(spool))


def test_a_slow_upload_delays_no_receipt(broker, spool, publish):
    spooled(spool, 50_000)
    small = spooled(spool, 100)
    gate = threading.Event()
    with ObjectStore() as store, Responder(broker.settings, stored) as cloud:
        original = store.objects.__class__.__setitem__

        class Slow(dict):
            def __setitem__(self, key, data):
                gate.wait(10)
                original(self, key, data)

        store.objects = Slow()
        cloud.grant = granting(store)
        publish(broker.settings, inline_limit_bytes=10_000)
        assert eventually(lambda: waiting(spool) == 1)
        assert ids(cloud.messages) == [small.message.message_id]
        gate.set()
        assert eventually(drained(spool))


def test_images_damaged_in_the_spool_are_told_as_quarantined(broker, spool, publish):
    frame = spooled(spool, 5_000)
    spool._files.path(frame.message.message_id).write_bytes(b"rotten")
    with Responder(broker.settings, stored) as cloud:
        publish(broker.settings)
        assert eventually(drained(spool))
    (message,) = cloud.messages
    assert (message.kind, message.reason) == ("quarantined", "damaged-in-spool")


def test_a_publisher_whose_thread_ended_is_not_ready(broker, spool, publish):
    publisher, _ = publish(broker.settings)
    publisher.stop()
    assert "thread is not running" in publisher.problem()
