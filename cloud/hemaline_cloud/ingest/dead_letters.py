"""Messages that were not taken in: kept whole, and taken in later by a verb or by themselves."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.dead_letters import (
    DeadLetterRow,
    get_dead_letter,
    readable_letters,
    set_letter_state,
    write_dead_letter,
)
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import FrameRow, find_frames, record_frames
from hemaline_cloud.database.slides import SlideRow, find_slides, open_slides
from hemaline_cloud.ingest.answers import answer_to
from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.items import Accepted, Claimed, Delivery, Item, Outcome, Refused
from hemaline_cloud.ingest.record import is_same_frame, record
from hemaline_cloud.ingest.slides import KnownSlides
from hemaline_cloud.ingest.verify import is_possible_time
from hemaline_cloud.objects.keys import dead_letter_key, dead_upload_key, upload_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.principal import Principal, service
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import SCHEMA_VERSION, Receipt
from hemaline_shared.mqtt import Inbound
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import Channel, parse_topic

logger = logging.getLogger(__name__)

_DEAD_LETTERS = UUID("5f0c1d52-6f0e-4b0e-9a55-3f1c0d7f8a03")
_REPORTS = frozenset({Channel.STATUS, Channel.TELEMETRY, Channel.UPLOAD_REQUEST})
"""What a device says again and again: only the newest is worth keeping."""
_NO_CONNECTION = -1
_LETTERS_AT_ONCE = 100


class DeadLetterWriter:
    """Writes refused messages one by one: they are rare, and each may be broken its own way."""

    def __init__(self, engine: Engine, store: ObjectStore, max_upload_bytes: int) -> None:
        self._engine = engine
        self._store = store
        self._max_upload_bytes = max_upload_bytes

    def write(self, refused: Refused) -> Outcome:
        """Keep a message whole with its reason; return what its sender is to be told.

        A damaged copy of a frame that the ledger holds is only answered, as the frame was.

        Raises:
            TransientError: The database or the object store is away.
        """
        if receipt := self._earlier_answer(refused):
            return Outcome(refused.delivery, refused.name, receipt, _upload_of(refused))
        letter = self._letter(refused)
        images_sha256 = self._keep(refused, letter)
        try:
            with unit_of_work(self._engine) as connection:
                write_dead_letter(connection, letter, counting=refused.channel in _REPORTS)
                if letter.state == "refused":
                    _quarantine_frame(connection, refused)
        except PermanentError:
            # What was wrong with the message is wrong with its row too: the letter must do.
            with unit_of_work(self._engine) as connection:
                write_dead_letter(connection, letter)
        # What has another place now goes from the first one.
        discard = (*refused.discard, *_upload_of(refused))
        answer = answer_to(refused, letter.state, images_sha256)
        return Outcome(refused.delivery, refused.name, answer, discard)

    def _earlier_answer(self, refused: Refused) -> Receipt | None:
        frame = refused.frame
        if frame is None:
            return None
        with unit_of_work(self._engine) as connection:
            known = find_frames(connection, [frame.message_id]).get(frame.message_id)
        if known is None or not is_same_frame(known, frame):
            return None
        if known.object_sha256 and known.object_sha256 == refused.sha256:
            return Receipt(message_id=known.frame_id, outcome="stored", sha256=known.object_sha256)
        return None

    def _letter(self, refused: Refused) -> DeadLetterRow:
        inbound = refused.delivery.inbound
        # The same message makes the same letter, however often it comes; so do a device's reports
        # that are refused alike, or a device too new would fill the store with its telemetry.
        content = (
            f"{refused.reason}/{refused.needs_version}"
            if refused.channel in _REPORTS
            else sha256_hex(inbound.payload)
        )
        letter_id = uuid5(_DEAD_LETTERS, f"{inbound.topic}/{content}")
        return DeadLetterRow(
            dead_letter_id=letter_id,
            topic=inbound.topic,
            message_id=refused.message_id,
            reason=refused.reason,
            detail=refused.detail,
            object_key=dead_letter_key(letter_id),
            size=len(inbound.payload),
            received_at=refused.delivery.received_at,
            state="refused" if refused.needs_version is None else "parked",
            needs_version=refused.needs_version,
        )

    def _keep(self, refused: Refused, letter: DeadLetterRow) -> str | None:
        """Store the message and its images; return their hash, where it has images."""
        self._store.put(letter.object_key, refused.delivery.inbound.payload)
        if refused.upload is None:
            return refused.inline_sha256
        kept_at = dead_upload_key(letter.dead_letter_id)
        try:
            upload = self._store.get(refused.upload, at_most=self._max_upload_bytes)
        except PermanentError:
            # Missing or beyond every bound, as the reason says; or kept when it came before.
            if not self._store.exists(kept_at):
                return None
            return sha256_hex(self._store.get(kept_at, at_most=self._max_upload_bytes))
        self._store.put(kept_at, upload)
        return sha256_hex(upload)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a letter was not taken in this time either."""

    reason: str
    detail: str


class Replayer:
    """Takes dead letters in as if they came now: by an operator's verb, or by itself.

    Nobody is told of it. Whoever wrote the letter answered its sender, and a device that missed the
    answer sends its frame again until it gets one: that it is stored, once the ledger has it.
    """

    def __init__(self, engine: Engine, store: ObjectStore, intake: Intake) -> None:
        self._engine = engine
        self._store = store
        self._intake = intake

    def replay_readable(self) -> int:
        """Take in what was parked for this schema version; return how many messages that were.

        Raises:
            TransientError: The database or the object store is away; what is left is still parked.
        """
        replayed = 0
        while True:
            with unit_of_work(self._engine) as connection:
                letters = readable_letters(connection, SCHEMA_VERSION, _LETTERS_AT_ONCE)
            if not letters:
                return replayed
            for letter in letters:
                refusal = self.replay(letter.dead_letter_id, who=service("ingest"))
                replayed += refusal is None
                if refusal:
                    logger.warning(
                        "parked message %s can be read now, and is refused: %s",
                        letter.dead_letter_id,
                        refusal.detail,
                    )

    def replay(self, dead_letter_id: UUID, *, who: Principal) -> Refusal | None:
        """Take one letter in; return why not, or None when the ledger has its message now.

        Raises:
            PermanentError: `no-such-letter`, `letter-ended` (it was retried or discarded), or
                `object-missing` where its message is gone.
            TransientError: The database or the object store is away; nothing has changed.
        """
        with unit_of_work(self._engine) as connection:
            letter = waiting_letter(connection, dead_letter_id)
        item = self._read(letter)
        try:
            with unit_of_work(self._engine) as connection:
                waiting_letter(connection, dead_letter_id)
                refusal = _refusal_of(connection, item)
                if refusal is None:
                    set_letter_state(connection, dead_letter_id, "retried")
                    detail = f"was {letter.state}, {letter.reason}"
                    record_event(
                        connection, who, Event("retry", "dead-letter", dead_letter_id, detail)
                    )
        except PermanentError as error:
            if error.reason in {"no-such-letter", "letter-ended"}:
                raise
            refusal = Refusal(error.reason, str(error))
        if refusal:
            self._refuse_again(letter, refusal, who)
        return refusal

    def _read(self, letter: DeadLetterRow) -> Item:
        payload = self._store.get(letter.object_key)
        self._restore_upload(letter)
        inbound = Inbound(letter.topic, payload, 0, 0, _NO_CONNECTION, None)
        item = self._intake.take(Delivery(inbound, datetime.now(UTC)))
        if isinstance(item, Claimed):
            return self._intake.fetch(item)
        if isinstance(item, Accepted) and item.packed is not None:
            self._store.put(item.key, item.packed)
        return item

    def _restore_upload(self, letter: DeadLetterRow) -> None:
        """Put the upload that a letter claims where the claim finds it."""
        kept_at = dead_upload_key(letter.dead_letter_id)
        if letter.message_id is None or not self._store.exists(kept_at):
            return
        name, _ = parse_topic(letter.topic)
        self._store.put(upload_key(name, letter.message_id), self._store.get(kept_at))

    def _refuse_again(self, letter: DeadLetterRow, refusal: Refusal, who: Principal) -> None:
        with unit_of_work(self._engine) as connection:
            # What can be read and is refused waits for no version any more.
            state = letter.state if refusal.reason == "unknown-version" else "refused"
            set_letter_state(
                connection,
                letter.dead_letter_id,
                "parked" if state == "parked" else "refused",
                reason=refusal.reason,
                detail=refusal.detail,
            )
            detail = f"refused again, {refusal.reason}: {refusal.detail}"
            event = Event("retry", "dead-letter", letter.dead_letter_id, detail)
            record_event(connection, who, event)


def waiting_letter(connection: Connection, dead_letter_id: UUID) -> DeadLetterRow:
    """Return a letter that a verb can still be used on, locked until the transaction's end.

    Raises:
        PermanentError: `no-such-letter` or `letter-ended`.
    """
    letter = get_dead_letter(connection, dead_letter_id, lock=True)
    if letter is None:
        raise PermanentError("no-such-letter", f"there is no dead letter {dead_letter_id}")
    if letter.state not in {"refused", "parked"}:
        raise PermanentError("letter-ended", f"dead letter {dead_letter_id} was {letter.state}")
    return letter


def _refusal_of(connection: Connection, item: Item) -> Refusal | None:
    if isinstance(item, Refused):
        return Refusal(item.reason, item.detail)
    recorded = record(connection, [item], KnownSlides())
    return next((Refusal(one.reason, one.detail) for one in recorded.refused), None)


def _quarantine_frame(connection: Connection, refused: Refused) -> None:
    """Put the frame into the ledger, where it is known whose it is and the ledger lacks it."""
    frame = refused.frame
    if frame is None:
        return
    received_at = refused.delivery.received_at
    # No clock is believed here: an impossible time may be the very reason.
    captured_at = frame.captured_at if is_possible_time(frame.captured_at) else received_at
    slide = SlideRow(frame.slide_id, frame.specimen_id, frame.site, frame.device)
    open_slides(connection, [(slide, min(captured_at, received_at))])
    known, _ = find_slides(connection, [frame.slide_id])[frame.slide_id]
    if not known.has_owner_of(slide):
        return  # another device's slide: that one's count must not change
    row = FrameRow(
        frame_id=frame.message_id,
        slide_id=frame.slide_id,
        site=frame.site,
        device=frame.device,
        sequence=frame.sequence,
        source=frame.source,
        edge_version=frame.edge_version,
        captured_at=captured_at,
        received_at=received_at,
        state="quarantined",
        settled_at=received_at,
        reason=refused.reason,
        detail=refused.detail,
    )
    record_frames(connection, [row])


def _upload_of(refused: Refused) -> tuple[str, ...]:
    return (refused.upload,) if refused.upload else ()
