"""A command goes forward only, and a second operator is another one."""

from datetime import UTC, datetime, timedelta

import pytest

from hemaline_cloud.fleet.commands import (
    OPEN,
    after_result,
    check_approval,
    check_withdrawal,
    first_state,
)
from hemaline_shared.device_commands import VERBS, read_arguments
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_what_deletes_waits_for_a_second_operator_and_nothing_else_does():
    waiting = {verb for verb in VERBS if first_state(verb) == "awaiting-approval"}
    assert waiting == {"discard-kept", "decommission"}


@pytest.mark.parametrize(
    ("state", "outcome", "then"),
    [
        ("open", "received", "received"),
        ("open", "done", "done"),
        ("received", "seen", "seen"),
        ("seen", "received", None),
        ("seen", "refused", "refused"),
        ("expired", "done", "done"),
        ("expired", "received", None),
        ("open", "expired", "expired"),
        ("expired", "expired", None),
        ("done", "failed", None),
        ("done", "done", None),
        ("awaiting-approval", "done", None),
        ("withdrawn", "done", None),
    ],
)
def test_what_a_device_says_leads_forward_or_nowhere(state, outcome, then):
    assert after_result(state, outcome) == then


@pytest.mark.parametrize(
    ("state", "by", "now", "reason"),
    [
        ("awaiting-approval", "ada", NOW, "own-command"),
        ("awaiting-approval", "bea", LATER, "command-expired"),
        *((state, "bea", NOW, "not-awaiting") for state in (*OPEN[1:], "done", "withdrawn")),
    ],
)
def test_an_approval_that_is_none_is_refused(state, by, now, reason):
    with pytest.raises(PermanentError) as refused:
        check_approval(state, "ada", by, LATER, now)
    assert refused.value.reason == reason


def test_another_operator_approves_in_time():
    check_approval("awaiting-approval", "ada", "bea", LATER, NOW)


def test_what_was_sent_is_not_taken_back():
    check_withdrawal("awaiting-approval")
    for state in (*OPEN[1:], "done"):
        with pytest.raises(PermanentError):
            check_withdrawal(state)


def test_an_argument_that_is_wrong_is_told_by_its_name():
    said = {"slide_id": str(new_id()), "reason": "because", "colour": 1}
    with pytest.raises(PermanentError, match=r"reason: .*; colour: there is no such argument"):
        read_arguments("recapture", said)
