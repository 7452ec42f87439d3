"""What a sender is told of its message, and which objects are of no use then."""

from hemaline_cloud.ingest.items import (
    Accepted,
    Closing,
    EndedAtEdge,
    FrameIdentity,
    Item,
    Outcome,
    Recordable,
    Refused,
    SlideItem,
)
from hemaline_cloud.objects.keys import upload_key
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Receipt, UploadGrant
from hemaline_shared.topics import Channel


def stored(item: SlideItem, spared: str | None = None) -> Outcome:
    """Tell that the ledger has an item; `spared` is the object of a frame that it had before."""
    sha256 = item.message.images.sha256 if isinstance(item, Accepted) else None
    receipt = Receipt(message_id=item.message.message_id, outcome="stored", sha256=sha256)
    left_over = [upload] if (upload := _upload_of(item)) else []
    if spared and isinstance(item, Accepted) and item.key != spared:
        left_over.append(item.key)
    return Outcome(item.delivery, item.name, receipt, tuple(left_over))


def contradicted(
    item: SlideItem,
    reason: str,
    detail: str,
    *,
    frame: FrameIdentity | None = None,
    spared: str | None = None,
) -> Refused:
    """Refuse an item after its images were stored; `spared` is an object that another row has."""
    is_inline = isinstance(item, Accepted) and item.message.images.inline is not None
    own_object = (item.key,) if isinstance(item, Accepted) and item.key != spared else ()
    return Refused(
        item.delivery,
        item.name,
        Channel.FIELD,
        reason,
        detail,
        message_id=item.message.message_id,
        frame=frame,
        inline_sha256=item.message.images.sha256
        if is_inline and isinstance(item, Accepted)
        else None,
        upload=_upload_of(item),
        discard=own_object,
    )


def refuse(item: Recordable, error: PermanentError) -> Refused:
    """Turn an item that the database will not take into a refusal."""
    if isinstance(item, Accepted | EndedAtEdge | Closing):
        detail = str(error).replace("\0", "")[:1000]
        frame = None if isinstance(item, Closing) else FrameIdentity.model_validate(item.message)
        return contradicted(item, error.reason, detail, frame=frame)
    return Refused(item.delivery, item.name, None, error.reason, str(error)[:1000])


def answer_to(
    refused: Refused, state: str, images_sha256: str | None
) -> Receipt | UploadGrant | None:
    """Return what the sender of a dead letter is told; None: this kind of message has no answer.

    Args:
        refused: The message.
        state: Of its letter: `refused` or `parked`.
        images_sha256: Of the images that are kept with it.
    """
    if refused.message_id is None:
        return None
    if refused.channel is Channel.UPLOAD_REQUEST:
        parked = state == "parked"
        return UploadGrant(
            message_id=refused.message_id, refusal=refused.detail, permanent=not parked
        )
    if refused.channel is Channel.FIELD:
        return Receipt(
            message_id=refused.message_id,
            outcome="parked" if state == "parked" else "quarantined",
            sha256=images_sha256,
            reason=refused.reason,
            detail=refused.detail,
        )
    return None


def _upload_of(item: Item) -> str | None:
    if isinstance(item, Accepted) and item.message.images.object_key:
        return upload_key(item.name, item.message.message_id)
    return None
