"""`/frames`, `/dead-letters`, `/devices`, `/bundles`: lists for those who run the system."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.models import (
    BundleView,
    DeadLetterView,
    DeviceView,
    FrameState,
    FrameView,
)
from hemaline_cloud.api.paging import Cursor, Limit, Page, decode_cursor, encode_cursor, page_of
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.views import API, bundle_view, dead_letter_view, device_view, frame_view
from hemaline_cloud.database.appointments import holders, sites_of
from hemaline_cloud.database.reading.devices import DeviceKey, list_devices
from hemaline_cloud.database.reading.fleet import fleet_of
from hemaline_cloud.database.reading.ledger import (
    BundleKey,
    BundleRow,
    DeadLetterKey,
    list_bundles,
    list_dead_letters,
    list_frames,
)

router = APIRouter(prefix=API, tags=["ledger"])

FRAME_KEY = TypeAdapter(UUID)
DEAD_LETTER_KEY = TypeAdapter(DeadLetterKey)
_DEVICE_KEY = TypeAdapter(DeviceKey)
_BUNDLE_KEY = TypeAdapter(BundleKey)
_BAD_CURSOR = documented(HTTPStatus.BAD_REQUEST)


@router.get(
    "/frames",
    summary="List the ledger: every captured frame and what became of it",
    responses=examples.pages(examples.FRAME) | _BAD_CURSOR,
)
def frames(
    context: Context,
    slide_id: UUID | None = None,
    state: Annotated[
        list[FrameState] | None, Query(description="In any of these states; may be repeated.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[FrameView]:
    """Newest first. Every state but `pending` is for good."""
    after = decode_cursor(FRAME_KEY, cursor)
    with context.reading() as connection:
        rows = list_frames(
            connection, limit=limit + 1, slide_id=slide_id, states=state or (), after=after
        )
        context.audit_read("frames", shown=list({row.slide_id: None for row in rows[:limit]}))
    return page_of(rows, limit, frame_view, lambda row: encode_cursor(FRAME_KEY, row.frame_id))


@router.get(
    "/dead-letters",
    summary="List messages that no retry could help",
    responses=examples.pages(examples.DEAD_LETTER) | _BAD_CURSOR,
)
def dead_letters(
    context: Context, limit: Limit = 100, cursor: Cursor = None
) -> Page[DeadLetterView]:
    """Newest first. Their payloads lie whole in the object store."""
    after = decode_cursor(DEAD_LETTER_KEY, cursor)
    with context.reading() as connection:
        rows = list_dead_letters(connection, limit=limit + 1, after=after)
    return page_of(
        rows, limit, dead_letter_view, lambda row: encode_cursor(DEAD_LETTER_KEY, row.key)
    )


@router.get(
    "/devices",
    summary="List the devices and how they are doing",
    responses=examples.pages(examples.DEVICE) | _BAD_CURSOR,
)
def devices(context: Context, limit: Limit = 200, cursor: Cursor = None) -> Page[DeviceView]:
    """By site and name."""
    after = decode_cursor(_DEVICE_KEY, cursor)
    with context.reading() as connection:
        rows = list_devices(connection, limit=limit + 1, after=after)
        fleet = fleet_of(connection, rows)
    return page_of(
        fleet, limit, device_view, lambda device: encode_cursor(_DEVICE_KEY, device.row.key)
    )


@router.get(
    "/bundles",
    summary="List the known model bundles, and where their answers count",
    responses=examples.pages(examples.BUNDLE) | _BAD_CURSOR,
)
def bundles(context: Context, limit: Limit = 100, cursor: Cursor = None) -> Page[BundleView]:
    """Newest first, with their manifests."""
    after = decode_cursor(_BUNDLE_KEY, cursor)
    with context.reading() as connection:
        rows = list_bundles(connection, limit=limit + 1, after=after)
        active, trial = holders(connection, "active"), holders(connection, "trial")

    def view(row: BundleRow) -> BundleView:
        return bundle_view(row, sites_of(active, row.sha256), sites_of(trial, row.sha256))

    return page_of(rows, limit, view, lambda row: encode_cursor(_BUNDLE_KEY, row.key))
