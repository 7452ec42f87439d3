"""`hemaline-cloud audit verify`: whether the audit is as it was written."""

from collections.abc import Callable

from hemaline_cloud.audit.verifying import verify
from hemaline_cloud.database.operators import operator_engine
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import AuditSettings
from hemaline_shared.errors import PermanentError


def verify_audit(settings: AuditSettings, echo: Callable[[str], None]) -> None:
    """Prove every block, and print how many are true.

    Raises:
        PermanentError: `audit-false` with the first false block; `audit-unsealed` where events
            have waited for a seal for more than a minute.
    """
    with operator_engine(settings, statement_timeout_s=0) as engine:
        found = verify(engine, open_store(settings.objects))
    echo(f"{found.blocks} blocks with {found.events} events are as they were sealed.")
    if found.false_block:
        raise PermanentError(
            "audit-false", f"Block {found.false_block.number} is false: {found.false_block.fault}."
        )
    echo(f"{found.unsealed} events wait for their seal.")
    if found.overdue:
        at = found.overdue.isoformat(timespec="seconds")
        raise PermanentError(
            "audit-unsealed", f"Nobody seals: the oldest of them is of {at}. Does an API run?"
        )
