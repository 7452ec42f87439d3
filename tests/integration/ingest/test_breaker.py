"""An ingest that refuses nearly everything stops, says why, and leaves the rest to be resent."""

import sys

import pytest

from hemaline_cloud.ingest import intake
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.errors import PermanentError
from parts.captures import SCOPE, WIDTH, Slide
from parts.health import ask_health
from parts.sender import Sender
from parts.waiting import LONG_S, wait_until

SENT = 80


def test_it_takes_no_more_says_so_and_another_takes_the_rest(
    broker, settings, start, ledger, monkeypatch
):
    """A defect of ours, as a bad release would bring."""
    slide = Slide()
    frames = [slide.field(number, count=0) for number in range(SENT)]
    small = settings.model_copy(update={"breaker_hold_s": 1, "commit_messages": 10})
    with Sender(broker.settings, SCOPE) as sender:
        with monkeypatch.context() as broken:
            broken.setattr(intake, "verify_field", lambda *_: 1 / 0)
            ingest = start(small)
            sender.send(*frames)
            with pytest.raises(PermanentError, match="nearly everything is refused") as caught:
                ingest.wait()
            assert caught.value.reason == "refuses-nearly-everything"
            assert "unexpected" in ingest._pipeline.problem()
            ingest.stop()
        refused = len(ledger.reasons())
        assert 50 <= refused < SENT
        start(settings)
        sender.wait_for_receipts(SENT)
    states = list(ledger.states().values())
    assert states.count("pending") >= SENT - refused
    assert len(states) == SENT


def test_a_restart_with_the_cause_still_there_refuses_a_few_more_only(
    broker, settings, start, ledger, monkeypatch
):
    slide = Slide()
    small = settings.model_copy(update={"breaker_hold_s": 0, "commit_messages": 10})
    with Sender(broker.settings, SCOPE) as sender:
        with monkeypatch.context() as broken:
            broken.setattr(intake, "verify_field", lambda *_: 1 / 0)
            refused = []
            for first in (0, 100, 200):  # as a supervisor starts it again
                ingest = start(small)
                sender.send(*(slide.field(first + n, count=0) for n in range(SENT)))
                with pytest.raises(PermanentError, match="nearly everything is refused"):
                    ingest.wait()
                ingest.stop()
                refused.append(len(ledger.reasons()))
        assert refused[0] >= 50
        assert refused[2] - refused[0] <= 6
        start(settings)
        sender.wait_for_receipts(3 * SENT)
    assert len(ledger.reasons()) == refused[2]


def test_the_process_is_not_ready_while_it_holds_and_ends_with_the_reason(
    broker, database_url, objects, tmp_path
):
    port = free_port()
    environment = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(objects.path),
        "HEMALINE_BROKER__PORT": str(broker.settings.port),
        "HEMALINE_HEALTH__PORT": str(port),
        "HEMALINE_BREAKER_HOLD_S": "5",
    }
    command = [sys.executable, "-m", "hemaline_cloud", "ingest"]
    child = Child("ingest", command, tmp_path / "ingest.log", environment)
    try:
        child.wait_ready(lambda: http_ok(port, "/readyz"), timeout_s=LONG_S, port=port)
        slide = Slide()
        with Sender(broker.settings, SCOPE) as sender:
            sender.send(*(slide.field(n, count=0, width=WIDTH + 1) for n in range(60)))
            wait_until(lambda: "nearly everything" in ask_health(port, "/readyz")[1])
            wait_until(lambda: child.exit_status is not None)
        assert child.exit_status not in {0, None}
        assert "nearly everything is refused" in child.log_tail()
    finally:
        child.stop()
