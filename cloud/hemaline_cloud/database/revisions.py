"""Results of slides are only ever added; a slide names its current one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Uuid, and_, bindparam, delete, func, insert, select

from hemaline_cloud.database.bundles import bundle_number
from hemaline_cloud.database.revision_inputs import RevisionInputs
from hemaline_cloud.database.schema import Bundle, ResultRevision, Signature, Slide
from hemaline_shared.errors import PermanentError

Reason: TypeAlias = Literal["new-frames", "new-bundle", "recount"]


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """A revision with all that it can be computed again from.

    Attributes:
        bundle_sha256: By whose roles, confusion and thresholds it was counted.
        inputs: None: made before inputs were kept.
    """

    revision: int
    bundle_sha256: str
    inputs: RevisionInputs | None
    content: dict[str, Any]


def append_revision(
    connection: Connection,
    slide_id: UUID,
    bundle_sha256: str,
    inputs: RevisionInputs,
    content: Mapping[str, Any],
) -> int | None:
    """Add a result of a slide and make it the current one; nothing where nothing changed.

    The one before is deleted if the same bundle made it and nobody signed it, so that a slide
    whose fields come one by one keeps one result, not one for each field.

    Args:
        connection: In a transaction that holds the slide.
        slide_id: Which.
        bundle_sha256: By whose roles, confusion and thresholds it was counted.
        inputs: Which frames and cells went in.
        content: A `SlideSummary` as JSON.

    Returns:
        The number of the new revision; None: the current one says the same of the same.
    """
    bundle = bundle_number(connection, bundle_sha256)
    current = connection.execute(_CURRENT, {"slide": slide_id}).one_or_none()
    packed = inputs.pack()
    if current is None:
        number, reason = 1, "new-frames"
    else:
        if (current.bundle, current.inputs, current.content) == (bundle, packed, content):
            return None
        number = current.revision + 1
        reason = _reason(inputs, current.inputs, same_bundle=current.bundle == bundle)
    connection.execute(
        insert(ResultRevision).values(
            slide_id=slide_id,
            revision=number,
            bundle=bundle,
            computed_at=func.now(),
            reason=reason,
            inputs=packed,
            content=dict(content),
        )
    )
    if current is not None and current.bundle == bundle:
        _delete_unsigned(connection, slide_id, current.revision)
    return number


def stored_revision(connection: Connection, slide_id: UUID, revision: int) -> StoredRevision:
    """Return a revision with its inputs.

    Raises:
        PermanentError: `no-such-revision`.
    """
    query = (
        select(ResultRevision.inputs, ResultRevision.content, Bundle.sha256)
        .join(Bundle, Bundle.number == ResultRevision.bundle)
        .where(ResultRevision.slide_id == slide_id, ResultRevision.revision == revision)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise PermanentError(
            "no-such-revision", f"Slide {slide_id} has no revision {revision} of its result."
        )
    inputs = None if row.inputs is None else RevisionInputs.unpack(row.inputs)
    return StoredRevision(revision, row.sha256, inputs, row.content)


_CURRENT = (
    select(
        ResultRevision.revision,
        ResultRevision.bundle,
        ResultRevision.inputs,
        ResultRevision.content,
    )
    .join(
        Slide,
        and_(Slide.slide_id == ResultRevision.slide_id, Slide.revision == ResultRevision.revision),
    )
    .where(Slide.slide_id == bindparam("slide", type_=Uuid()))
)


def _reason(inputs: RevisionInputs, before: bytes | None, *, same_bundle: bool) -> Reason:
    if not same_bundle:
        return "new-bundle"
    frames = {frame.frame_id for frame in inputs.frames}
    known = before and {frame.frame_id for frame in RevisionInputs.unpack(before).frames}
    return "recount" if frames == known else "new-frames"


def _delete_unsigned(connection: Connection, slide_id: UUID, revision: int) -> None:
    signed = select(Signature.signature_id).where(
        Signature.slide_id == slide_id, Signature.revision == revision
    )
    connection.execute(
        delete(ResultRevision).where(
            ResultRevision.slide_id == slide_id,
            ResultRevision.revision == revision,
            ~signed.exists(),
        )
    )
