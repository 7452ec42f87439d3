"""The rows that verified items become."""

from hemaline_cloud.database.frames import CellRow, FieldRow, FrameRow
from hemaline_cloud.database.slides import SlideRow
from hemaline_cloud.ingest.items import Accepted, Closing, Settled
from hemaline_shared.ids import cell_id
from hemaline_shared.messages import QuarantinedMessage, RejectedMessage


def slide_row(item: Accepted | Settled | Closing) -> SlideRow:
    """Return the row of the slide that a message is about."""
    message = item.message
    return SlideRow(message.slide_id, message.specimen_id, message.site, message.device)


def frame_row(item: Accepted | Settled) -> FrameRow:
    """Return the ledger's row of a frame: pending, or at its end already."""
    message = item.message
    row = FrameRow(
        frame_id=message.message_id,
        slide_id=message.slide_id,
        site=message.site,
        device=message.device,
        sequence=message.sequence,
        source=message.source,
        edge_version=message.edge_version,
        captured_at=message.captured_at,
        received_at=item.delivery.received_at,
        state="pending",
    )
    settled_at = item.delivery.received_at
    if isinstance(message, QuarantinedMessage):
        return row._replace(
            state="quarantined",
            settled_at=settled_at,
            reason=message.reason,
            detail=message.detail,
        )
    row = row._replace(quality=message.quality.model_dump(mode="json"))
    if isinstance(message, RejectedMessage):
        return row._replace(
            state="rejected",
            settled_at=settled_at,
            reason=message.quality.reasons[0],
            detail=", ".join(message.quality.reasons),
            thumbnail=message.thumbnail,
        )
    return row


def field_row(item: Accepted) -> FieldRow:
    """Return the row of an accepted frame's field."""
    message = item.message
    return FieldRow(
        frame_id=message.message_id,
        width=message.width,
        height=message.height,
        um_per_px=message.um_per_px,
        scale_source=message.scale_source,
        pixel_pipeline=message.pixel_pipeline,
        finder=message.finder,
        object_key=item.key,
        object_size=message.images.size,
        object_sha256=message.images.sha256,
    )


def cell_rows(item: Accepted) -> list[CellRow]:
    """Return the rows of a field's cells."""
    frame_id = item.message.message_id
    return [
        CellRow(
            cell_id(frame_id, cell.index),
            frame_id,
            cell.index,
            cell.left,
            cell.top,
            cell.right,
            cell.bottom,
            cell.confidence,
        )
        for cell in item.message.cells
    ]
