"""`hemaline-cloud dead-letters list | show | retry | discard`: about messages not taken in."""

from collections.abc import Callable, Sequence
from uuid import UUID

from hemaline_cloud.database.audit import Event, changes_of, record_event
from hemaline_cloud.database.dead_letters import (
    DeadLetterRow,
    find_dead_letters,
    get_dead_letter,
    set_letter_state,
)
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.operators import operator_engine, operator_transaction
from hemaline_cloud.ingest.dead_letters import Replayer, waiting_letter
from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.uploads import Uploads
from hemaline_cloud.objects.keys import dead_upload_key
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import IngestSettings, MigrateSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]
_EVERY_STATE = ("refused", "parked", "retried", "discarded")


def list_letters(
    settings: MigrateSettings, reason: str | None, limit: int, echo: _Print, *, ended: bool
) -> None:
    """Print dead letters, newest first: a line each, its parts parted by tabs."""
    states = _EVERY_STATE if ended else _EVERY_STATE[:2]
    with operator_transaction(settings) as connection:
        letters = find_dead_letters(connection, states=states, reason=reason, limit=limit + 1)
    for letter in letters[:limit]:
        parts = [str(letter.dead_letter_id), _at(letter), letter.state, letter.reason, letter.topic]
        echo("\t".join([*parts, f"{letter.messages} messages"] if letter.messages > 1 else parts))
    if len(letters) > limit:
        echo(f"… and more: --limit {2 * limit} shows them, --reason NAME those of one reason.")


def show_letter(settings: IngestSettings, letter_id: UUID, echo: _Print) -> None:
    """Print all that is known of one letter, and what was done with it.

    Raises:
        PermanentError: `no-such-letter`.
    """
    store = open_store(settings.objects)
    with operator_transaction(settings) as connection:
        letter = get_dead_letter(connection, letter_id)
        actions = changes_of(connection, letter_id)
    if letter is None:
        raise PermanentError("no-such-letter", f"There is no dead letter {letter_id}.")
    echo(f"letter     {letter.dead_letter_id}, {letter.state}")
    echo(f"came       {_at(letter)} on {letter.topic}")
    echo(f"message    {letter.message_id or 'names no id'}")
    if letter.messages > 1:
        echo(f"stands for {letter.messages} messages, this one is the newest")
    echo(f"reason     {letter.reason}: {letter.detail}")
    if letter.needs_version is not None:
        echo(f"waits for  an ingest that reads schema version {letter.needs_version}")
    echo(f"payload    {letter.size:,} bytes, {_where(store, letter.object_key)}")
    if store.exists(upload := dead_upload_key(letter_id)):
        echo(f"upload     {upload}")
    for action in actions:
        at = action.at.isoformat(timespec="seconds")
        echo(f"{action.action:10} {at} by {action.actor_name}: {action.detail}")


def retry_letters(
    settings: IngestSettings, letter_ids: Sequence[UUID], reason: str | None, echo: _Print
) -> None:
    """Take letters in as if they came now, the named ones or all of a reason; a line for each.

    Raises:
        PermanentError: `no-such-letter` or `letter-ended`; those before it are done.
            `refused-again`, after all of them, when one was.
    """
    with operator_engine(settings) as engine:
        store = open_store(settings.objects)
        intake = Intake(settings, engine, store, Uploads(settings, store))
        replayer = Replayer(engine, store, intake)
        if reason is not None:
            with unit_of_work(engine) as connection:
                found = find_dead_letters(connection, reason=reason)
            letter_ids = [letter.dead_letter_id for letter in reversed(found)]
            if not letter_ids:
                echo(f"No dead letter waits with reason {reason}.")
        refused = 0
        for letter_id in letter_ids:
            refusal = replayer.replay(letter_id, who=operator(operator_name()))
            refused += refusal is not None
            ended = f"refused again, {refusal.reason}: {refusal.detail}" if refusal else "taken in"
            echo(f"{letter_id}\t{ended}")
    if refused:
        raise PermanentError(
            "refused-again", f"{refused} of {len(letter_ids)} letters are refused as before."
        )


def discard_letters(
    settings: IngestSettings, letter_ids: Sequence[UUID], why: str, echo: _Print
) -> None:
    """Delete letters' messages and images with a reason; the ledger keeps that they were there.

    Raises:
        PermanentError: `no-reason`; `no-such-letter` or `letter-ended`, then none is discarded.
    """
    if not why.strip():
        raise PermanentError("no-reason", "Say why with --why: the ledger keeps it.")
    store = open_store(settings.objects)
    with operator_transaction(settings) as connection:
        letters = [waiting_letter(connection, letter_id) for letter_id in letter_ids]
        for letter in letters:
            set_letter_state(connection, letter.dead_letter_id, "discarded")
            detail = f"was {letter.state}, {letter.reason}; {why}"
            event = Event("discard", "dead-letter", letter.dead_letter_id, detail)
            record_event(connection, operator(operator_name()), event)
    # Only what the ledger says is discarded: killed here, a rest is left, and no letter without it.
    for letter in letters:
        store.delete(letter.object_key)
        store.delete(dead_upload_key(letter.dead_letter_id))
    echo(f"{len(letters)} letters are discarded.")


def _at(letter: DeadLetterRow) -> str:
    return letter.received_at.isoformat(timespec="seconds")


def _where(store: ObjectStore, key: str) -> str:
    return key if store.exists(key) else "gone from the object store"
