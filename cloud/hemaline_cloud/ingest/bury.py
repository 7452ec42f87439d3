"""Refused messages: into dead letters with their payload, and their frame into quarantine."""

from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine

from hemaline_cloud.database.dead_letters import DeadLetterRow, bury
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import FrameRow, find_frames, record_frames
from hemaline_cloud.database.slides import SlideRow, find_slides, open_slides
from hemaline_cloud.ingest.items import Outcome, Refused
from hemaline_cloud.ingest.record import is_same_frame
from hemaline_cloud.ingest.verify import is_possible_time
from hemaline_cloud.objects.keys import dead_letter_key, dead_upload_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Receipt, UploadGrant
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import Channel

_DEAD_LETTERS = UUID("5f0c1d52-6f0e-4b0e-9a55-3f1c0d7f8a03")


class Undertaker:
    """Buries refused messages one by one: they are rare, and each may be broken its own way."""

    def __init__(self, engine: Engine, store: ObjectStore, max_upload_bytes: int) -> None:
        self._engine = engine
        self._store = store
        self._max_upload_bytes = max_upload_bytes

    def bury(self, refused: Refused) -> Outcome:
        """Keep a message whole with its reason; return what its sender is to be told.

        A message of a frame whose end the ledger knows already is only answered, as before.

        Raises:
            TransientError: The database or the object store is away.
        """
        if receipt := self._earlier_answer(refused):
            return Outcome(refused.delivery, refused.name, receipt, _uploads(refused))
        letter = self._letter(refused)
        images_sha256 = self._keep(refused, letter)
        try:
            with unit_of_work(self._engine) as connection:
                bury(connection, [letter])
                _quarantine_frame(connection, refused)
        except PermanentError:
            # What was wrong with the message is wrong with its row too: the letter must do.
            with unit_of_work(self._engine) as connection:
                bury(connection, [letter])
        discard = (*refused.discard, *_uploads(refused))
        answer = _answer(refused, images_sha256)
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
        # The same message makes the same letter, however often it comes.
        letter_id = uuid5(_DEAD_LETTERS, f"{inbound.topic}/{sha256_hex(inbound.payload)}")
        return DeadLetterRow(
            dead_letter_id=letter_id,
            topic=inbound.topic,
            message_id=refused.message_id,
            reason=refused.reason,
            detail=refused.detail,
            object_key=dead_letter_key(letter_id),
            size=len(inbound.payload),
            received_at=refused.delivery.received_at,
        )

    def _keep(self, refused: Refused, letter: DeadLetterRow) -> str | None:
        """Store the message and its images; return their hash, where it has images."""
        self._store.put(letter.object_key, refused.delivery.inbound.payload)
        if refused.upload is None:
            return refused.inline_sha256
        try:
            upload = self._store.get(refused.upload, at_most=self._max_upload_bytes)
        except PermanentError:
            return None  # missing or beyond every bound: the reason says so
        self._store.put(dead_upload_key(letter.dead_letter_id), upload)
        return sha256_hex(upload)


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
    known = find_slides(connection, [frame.slide_id])[frame.slide_id]
    if (known.site, known.device) != (frame.site, frame.device):
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


def _answer(refused: Refused, images_sha256: str | None) -> Receipt | UploadGrant | None:
    if refused.message_id is None:
        return None
    if refused.channel is Channel.UPLOAD_REQUEST:
        return UploadGrant(message_id=refused.message_id, refusal=refused.detail)
    if refused.channel is Channel.FIELD:
        return Receipt(
            message_id=refused.message_id,
            outcome="quarantined",
            sha256=images_sha256,
            reason=refused.reason,
            detail=refused.detail,
        )
    return None


def _uploads(refused: Refused) -> tuple[str, ...]:
    return (refused.upload,) if refused.upload else ()
