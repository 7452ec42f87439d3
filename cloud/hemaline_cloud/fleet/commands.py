"""The states of a command to a device, and what leads from one to the next."""

from datetime import datetime
from typing import Literal, TypeAlias

from hemaline_shared.device_commands import VERBS, Outcome
from hemaline_shared.errors import PermanentError

CommandState: TypeAlias = Literal[
    "awaiting-approval",
    "open",
    "received",
    "seen",
    "done",
    "refused",
    "failed",
    "expired",
    "withdrawn",
]
SENT: tuple[CommandState, ...] = ("open", "received", "seen")
"""The device is told of it again and again."""
OPEN: tuple[CommandState, ...] = ("awaiting-approval", *SENT)

_RANKS: dict[CommandState, int] = {"open": 0, "received": 1, "seen": 2, "expired": 3}
_FINAL = 4


def first_state(verb: str) -> CommandState:
    """Return how a command begins."""
    return "awaiting-approval" if VERBS[verb].needs_approval else "open"


def after_result(state: CommandState, outcome: Outcome) -> CommandState | None:
    """Return what a device's word makes of a command; None: nothing, it comes late or again.

    What the device did outranks that the time was over here: its word may have been on its way.
    What it was never told, it cannot have done.
    """
    if state in {"awaiting-approval", "withdrawn"}:
        return None
    return outcome if _RANKS.get(outcome, _FINAL) > _RANKS.get(state, _FINAL) else None


def check_approval(
    state: CommandState, asked_by: str, by: str, expires_at: datetime, now: datetime
) -> None:
    """Refuse an approval that is none.

    Raises:
        PermanentError: `not-awaiting`, `own-command` or `command-expired`.
    """
    if state != "awaiting-approval":
        raise PermanentError("not-awaiting", f"It waits for nobody's approval: it is {state}.")
    if by == asked_by:
        raise PermanentError(
            "own-command", "Whoever asked for this cannot approve it: a second operator must."
        )
    if now >= expires_at:
        raise PermanentError("command-expired", "It has expired meanwhile: ask for it anew.")


def check_withdrawal(state: CommandState) -> None:
    """Refuse to withdraw what a device may have done already.

    Raises:
        PermanentError: `not-awaiting`.
    """
    if state != "awaiting-approval":
        raise PermanentError(
            "not-awaiting", f"It is {state}: only what awaits approval can be withdrawn."
        )
