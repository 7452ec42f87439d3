"""What is not taken in is kept whole, and an operator, or a newer ingest, can take it in yet."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import cbor2
import pytest

from hemaline_cloud.ingest import intake
from hemaline_shared import messages
from hemaline_shared.ids import new_id
from hemaline_shared.messages import Telemetry, UploadRequest, encode
from hemaline_shared.topics import Channel
from parts.captures import SCOPE, WIDTH, Slide
from parts.health import ask_health
from parts.sender import Sender
from parts.waiting import wait_until


def newer(message, version=2):
    """A message as a later edge may write it: our fields, and a version that we cannot read."""
    return cbor2.dumps({**cbor2.loads(encode(message)), "v": version})


def claiming(message):
    content = cbor2.loads(encode(message))
    content["images"] |= {"inline": None, "object_key": f"uploads/{SCOPE}/{message.message_id}"}
    return content


@pytest.fixture
def reads_version_2(monkeypatch):
    """Be the release that reads version 2, which has the fields of version 1."""

    def become():
        def read_both(payload):
            content = cbor2.loads(payload)
            return cbor2.dumps(content | {"v": 1}) if content["v"] == 2 else payload

        decode = messages.decode_up
        monkeypatch.setattr(intake, "decode_up", lambda payload: decode(read_both(payload)))
        monkeypatch.setattr("hemaline_cloud.ingest.dead_letters.SCHEMA_VERSION", 2)

    return become


@pytest.fixture
def command(database_url, objects):
    """Run `hemaline-cloud dead-letters …` as an operator does."""
    settings = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(objects.path),
    }

    def run(*words):
        line = [sys.executable, "-m", "hemaline_cloud", "dead-letters", *map(str, words)]
        return subprocess.run(
            line,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


def letters(ledger):
    return ledger.rows("select dead_letter_id, state, reason from dead_letters order by 1")


def test_what_is_too_new_is_parked_whole_and_its_sender_is_told_so(sender, ingest, ledger, store):
    field = Slide().field()
    sender.send_payload(newer(field), field.message_id)
    receipt = sender.receipt(field.message_id)
    assert (receipt.outcome, receipt.reason) == ("parked", "unknown-version")
    assert receipt.sha256 == field.images.sha256
    ((_, state, reason),) = letters(ledger)
    assert (state, reason) == ("parked", "unknown-version")
    ((key,),) = ledger.rows("select object_key from dead_letters")
    assert store.get(key) == newer(field)
    assert ledger.states() == {}
    status, said = ask_health(ingest.health.port, "/readyz")
    assert status == 200
    assert "1 messages are newer" in json.loads(said)["notices"]["ingest"]


def test_what_was_parked_is_taken_in_by_the_first_ingest_that_reads_it(
    broker, settings, start, ledger, store, reads_version_2
):
    slide = Slide()
    field, claimed, rejected = slide.field(0), slide.field(1), slide.rejected(2)
    upload = f"uploads/{SCOPE}/{claimed.message_id}"
    store.put(upload, claimed.images.inline)
    ingest = start(settings)
    with Sender(broker.settings, SCOPE) as sender:
        sender.send_payload(newer(field), field.message_id)
        sender.send_payload(cbor2.dumps(claiming(claimed) | {"v": 2}), claimed.message_id)
        sender.send_payload(newer(rejected), rejected.message_id)
        assert sender.receipt(claimed.message_id).sha256 == claimed.images.sha256
        sender.wait_for_receipts(3)
    wait_until(lambda: not store.exists(upload))  # its copy lies beside the letter
    ingest.stop()
    reads_version_2()
    start(settings)
    wait_until(lambda: {state for _, state, _ in letters(ledger)} == {"retried"})
    assert ledger.states() == {
        field.message_id: "pending",
        claimed.message_id: "pending",
        rejected.message_id: "rejected",
    }
    for (key,) in ledger.rows("select object_key from fields"):
        assert store.get(key) in {field.images.inline, claimed.images.inline}
    told = ledger.rows("select distinct actor, action, subject from audit_events")
    assert told == [("service:ingest", "retry", "dead-letter")]


def test_what_is_still_too_new_stays_parked(broker, settings, start, ledger, reads_version_2):
    field = Slide().field()
    ingest = start(settings)
    with Sender(broker.settings, SCOPE) as sender:
        sender.send_payload(newer(field, version=3), field.message_id)
        sender.receipt(field.message_id)
    ingest.stop()
    reads_version_2()
    start(settings)
    after = Slide().field()
    with Sender(broker.settings, SCOPE) as sender:
        sender.send(after)
        sender.receipt(after.message_id)
    assert [state for _, state, _ in letters(ledger)] == ["parked"]


def test_an_upload_request_that_is_too_new_is_refused_for_now(sender):
    request = UploadRequest(message_id=new_id(), size=10, sha256="0" * 64)
    sender.publish(Channel.UPLOAD_REQUEST, newer(request))
    grant = sender.grant()
    assert grant.refusal
    assert not grant.permanent


def test_images_of_a_message_that_the_ledger_contradicts_are_kept(sender, ledger, store):
    """They were destroyed once: the upload as claimed, the object as contradicted."""
    slide = Slide()
    first = slide.field(0)
    sender.send(first)
    sender.receipt(first.message_id)
    stranger = Slide(slide_id=slide.slide_id).field(1)  # of another specimen
    upload = f"uploads/{SCOPE}/{stranger.message_id}"
    store.put(upload, stranger.images.inline)
    sender.send_payload(cbor2.dumps(claiming(stranger)), stranger.message_id)
    receipt = sender.receipt(stranger.message_id)
    assert (receipt.reason, receipt.sha256) == ("slide-id-reused", stranger.images.sha256)
    ((key,),) = ledger.rows("select object_key from dead_letters")
    assert store.get(f"{key}.upload") == stranger.images.inline
    # The same message again finds its images where they are kept now.
    wait_until(lambda: not store.exists(upload))
    sender.send_payload(cbor2.dumps(claiming(stranger)), stranger.message_id)
    assert sender.receipt(stranger.message_id, nth=2).sha256 == stranger.images.sha256
    assert store.get(f"{key}.upload") == stranger.images.inline


def test_an_operator_lists_shows_and_retries_what_was_refused(
    sender, ledger, store, command, monkeypatch
):
    field = Slide().field()
    with monkeypatch.context() as broken:
        broken.setattr(intake, "verify_field", lambda *_: 1 / 0)
        sender.send(field)
        receipt = sender.receipt(field.message_id)
    assert (receipt.outcome, receipt.reason) == ("quarantined", "unexpected")
    assert ledger.states() == {field.message_id: "quarantined"}
    ((letter, _, _),) = letters(ledger)
    listed = command("list").stdout
    assert listed.split("\t")[0] == str(letter)
    assert "unexpected" in listed
    assert str(field.message_id) in command("show", letter).stdout
    retried = command("retry", letter)
    assert retried.returncode == 0, retried.stdout
    assert "taken in" in retried.stdout
    assert ledger.states() == {field.message_id: "pending"}
    ((key,),) = ledger.rows("select object_key from fields")
    assert store.get(key) == field.images.inline
    assert command("list").stdout == ""
    assert str(letter) in command("list", "--ended").stdout
    assert "retry" in command("show", letter).stdout
    again = command("retry", letter)
    assert again.returncode != 0
    assert "was retried" in again.stdout


def test_what_is_refused_again_says_so_and_stays(sender, ledger, command):
    bad = Slide().field(width=WIDTH + 1)
    sender.send(bad)
    sender.receipt(bad.message_id)
    retried = command("retry", "--reason", "wrong-field-size")
    assert retried.returncode != 0
    assert "refused again, wrong-field-size" in retried.stdout
    assert [state for _, state, _ in letters(ledger)] == ["refused"]
    ((detail,),) = ledger.rows("select detail from audit_events")
    assert detail.startswith("refused again, wrong-field-size")
    assert ledger.states() == {bad.message_id: "quarantined"}


def test_a_discarded_letter_is_gone_but_for_the_ledger_s_word(sender, ledger, store, command):
    bad = Slide().field(width=WIDTH + 1)
    sender.send(bad)
    sender.receipt(bad.message_id)
    ((letter, _, _),) = letters(ledger)
    ((key,),) = ledger.rows("select object_key from dead_letters")
    assert command("discard", letter).returncode != 0  # without a reason
    assert store.exists(key)
    discarded = command("discard", letter, "--why", "a test slide")
    assert discarded.returncode == 0, discarded.stdout
    assert not store.exists(key)
    assert [state for _, state, _ in letters(ledger)] == ["discarded"]
    ((action, detail),) = ledger.rows("select action, detail from audit_events")
    assert (action, detail) == ("discard", "was refused, wrong-field-size; a test slide")
    # What comes again waits again.
    sender.send_payload(encode(bad), bad.message_id)
    sender.receipt(bad.message_id, nth=2)
    assert [state for _, state, _ in letters(ledger)] == ["refused"]
    assert store.exists(key)


def test_a_letter_that_is_not_there_is_told_in_a_sentence(command):
    unknown = new_id()
    for verb in (["show"], ["retry"], ["discard", "--why", "x"]):
        answer = command(verb[0], unknown, *verb[1:])
        assert answer.returncode != 0
        assert f"dead letter {unknown}" in answer.stdout


def test_a_device_that_missed_the_answer_lets_go_when_it_sends_again_after_a_retry(
    sender, ledger, store, command, monkeypatch
):
    """No receipt is sent for the retry: whoever still holds the frame asks again, and hears it."""
    slide = Slide()
    inline, claimed = slide.field(0), slide.field(1)
    store.put(f"uploads/{SCOPE}/{claimed.message_id}", claimed.images.inline)
    with monkeypatch.context() as broken:
        broken.setattr(intake, "verify_field", lambda *_: 1 / 0)
        sender.send(inline)
        sender.send_payload(cbor2.dumps(claiming(claimed)), claimed.message_id)
        sender.wait_for_receipts(2)  # lost on the way, as far as the device knows
    retried = command("retry", "--reason", "unexpected")
    assert retried.returncode == 0, retried.stdout
    sender.send(inline)
    sender.send_payload(cbor2.dumps(claiming(claimed)), claimed.message_id)
    for message in (inline, claimed):
        answer = sender.receipt(message.message_id, nth=2)
        assert (answer.outcome, answer.sha256) == ("stored", message.images.sha256)
    assert set(ledger.states().values()) == {"pending"}
    assert [state for _, state, _ in letters(ledger)] == ["retried", "retried"]


def _telemetry(captured):
    counts = dict.fromkeys(
        ("session", "captured", "rejected", "quarantined", "receipted", "refused", "spool_frames",
         "spool_bytes", "spool_quota_bytes", "disk_free_bytes"), 0,
    )  # fmt: skip
    at = datetime(2026, 5, 4, 9, captured, tzinfo=UTC)
    return Telemetry(at=at, oldest_spooled_at=None, **counts | {"captured": captured})


def test_reports_of_a_device_that_is_too_new_are_one_letter_of_the_newest(
    sender, ledger, store, command
):
    for captured in range(20):
        sender.publish(Channel.TELEMETRY, newer(_telemetry(captured)))
    wait_until(lambda: ledger.rows("select messages from dead_letters") == [(20,)])
    ((letter, state, reason),) = letters(ledger)
    assert (state, reason) == ("parked", "unknown-version")
    ((key,),) = ledger.rows("select object_key from dead_letters")
    assert store.get(key) == newer(_telemetry(19))
    assert "20 messages" in command("list").stdout
    assert "20 messages" in command("show", letter).stdout
    # A still newer version, and what is wrong in another way, are letters of their own.
    sender.publish(Channel.TELEMETRY, newer(_telemetry(1), version=3))
    sender.publish(Channel.TELEMETRY, b"no CBOR")
    wait_until(lambda: len(letters(ledger)) == 3)


def test_reports_that_are_refused_again_after_a_verb_are_counted_anew(sender, ledger, command):
    for _ in range(3):
        sender.publish(Channel.STATUS, b"no CBOR")
    wait_until(lambda: ledger.rows("select messages from dead_letters") == [(3,)])
    ((letter, _, _),) = letters(ledger)
    assert command("discard", letter, "--why", "a broken build").returncode == 0
    sender.publish(Channel.STATUS, b"no CBOR")
    wait_until(lambda: [state for _, state, _ in letters(ledger)] == ["refused"])
    assert ledger.rows("select messages from dead_letters") == [(1,)]
