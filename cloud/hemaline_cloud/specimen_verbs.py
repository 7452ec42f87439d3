"""`hemaline-cloud specimens erase | hold | release | finish`: a patient's right, and its limit."""

from collections.abc import Callable
from uuid import UUID

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.erasures import erase_specimen, hold_specimen, release_specimen
from hemaline_cloud.database.operators import operator_engine, operator_transaction
from hemaline_cloud.erasing import delete_erased_objects
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]


def erase(settings: IngestSettings, specimen_id: UUID, why: str, echo: _Print) -> None:
    """Erase a specimen: its rows in one transaction, then its objects.

    Raises:
        PermanentError: `no-reason`; as `erase_specimen`.
        TransientError: The store is away: the rows are gone, the objects wait for `finish`.
    """
    reason, store = _reason(why), open_store(settings.objects)
    with operator_engine(settings) as engine:
        with unit_of_work(engine) as connection:
            gone = erase_specimen(connection, operator(operator_name()), specimen_id, reason)
        echo(f"Specimen {specimen_id} is erased: {gone.slides} slides, {gone.fields} fields.")
        echo(f"{delete_erased_objects(engine, store)} objects are deleted.")
    echo("Backups hold it until they expire: see docs/operations.md.")


def hold(settings: IngestSettings, specimen_id: UUID, why: str, echo: _Print) -> None:
    """Let nobody erase a specimen.

    Raises:
        PermanentError: `no-reason`; as `hold_specimen`.
    """
    reason = _reason(why)
    with operator_transaction(settings) as connection:
        hold_specimen(connection, operator(operator_name()), specimen_id, reason)
    echo(f"Specimen {specimen_id} is held: nobody erases it until it is released.")


def release(settings: IngestSettings, specimen_id: UUID, why: str, echo: _Print) -> None:
    """End a specimen's hold.

    Raises:
        PermanentError: `no-reason`; `no-legal-hold`.
    """
    reason = _reason(why)
    with operator_transaction(settings) as connection:
        release_specimen(connection, operator(operator_name()), specimen_id, reason)
    echo(f"Specimen {specimen_id} is released.")


def finish(settings: IngestSettings, echo: _Print) -> None:
    """Delete what erasures that were cut off have left."""
    store = open_store(settings.objects)
    with operator_engine(settings) as engine:
        echo(f"{delete_erased_objects(engine, store)} objects are deleted.")


def _reason(why: str) -> str:
    if not why.strip():
        raise PermanentError("no-reason", "Say why with --why: the audit keeps it.")
    return why.strip()
