"""Images: a field's JPEG, a cell's lossless PNG, a frame's thumbnail; none is cached."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from hemaline_cloud.api import examples
from hemaline_cloud.api.caching import NO_STORE, tagged, unchanged
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.heat_map_images import RENDERING, draw_heat_map
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.thumbnails import THUMBNAIL_RENDERING, ThumbnailPx, draw_thumbnail
from hemaline_cloud.api.views import API
from hemaline_cloud.database.reading.cells import cell_images, heat_map
from hemaline_cloud.database.reading.fields import field_images
from hemaline_cloud.database.reading.ledger import thumbnail as sent_thumbnail
from hemaline_cloud.database.reading.owners import slide_of_cell, slide_of_frame
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import FieldImages, sha256_hex
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_thumbnail

router = APIRouter(prefix=API, tags=["images"])

_OTHERWISE = documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE) | {
    304: {"description": "The reader has this image already."}
}
_JPEG = examples.sends("image/jpeg", "The bytes of a JPEG.")
_WEBP = examples.sends("image/webp", "The bytes of a WebP.")
_PNG = examples.sends("image/png", "The bytes of a PNG.")


@router.get(
    "/fields/{frame_id}/image",
    summary="Read a field's image",
    response_class=Response,
    responses=_JPEG | _OTHERWISE,
)
def field_image(context: Context, request: Request, frame_id: UUID) -> Response:
    """The JPEG as the device made it; it never changes."""
    with context.reading() as connection:
        stored, slide_id = field_images(connection, frame_id), slide_of_frame(connection, frame_id)
        if stored is None or slide_id is None:
            raise not_found("field", frame_id)
        context.audit_image("field-image", frame_id, slide_id)
    return _image(
        request,
        f'"{stored.sha256}-field"',
        "image/jpeg",
        lambda: context.images.read(stored).field,
    )


@router.get(
    "/cells/{cell_id}/image",
    summary="Read a cell's crop",
    response_class=Response,
    responses=_PNG | _OTHERWISE,
)
def cell_image(context: Context, request: Request, cell_id: UUID) -> Response:
    """The lossless PNG that the model saw; it never changes."""
    with context.reading() as connection:
        found, slide_id = cell_images(connection, cell_id), slide_of_cell(connection, cell_id)
        if found is None or slide_id is None:
            raise not_found("cell", cell_id)
        context.audit_image("cell-image", cell_id, slide_id)
    stored, index = found
    return _image(
        request,
        f'"{stored.sha256}-{index}"',
        "image/png",
        lambda: _crop(context.images.read(stored), index),
    )


@router.get(
    "/cells/{cell_id}/thumbnail",
    summary="Read a cell's crop, made small",
    response_class=Response,
    responses=_WEBP | _OTHERWISE,
)
def cell_thumbnail(
    context: Context, request: Request, cell_id: UUID, px: ThumbnailPx = ThumbnailPx.SMALL
) -> Response:
    """For lists: a twentieth of the bytes, with loss. It never changes."""
    with context.reading() as connection:
        found, slide_id = cell_images(connection, cell_id), slide_of_cell(connection, cell_id)
        if found is None or slide_id is None:
            raise not_found("cell", cell_id)
        context.audit_image("cell-image", cell_id, slide_id)
    stored, index = found
    return _image(
        request,
        f'"{stored.sha256}-{index}-{px.value}-{THUMBNAIL_RENDERING}"',
        "image/webp",
        lambda: draw_thumbnail(_crop(context.images.read(stored), index), px),
    )


@router.get(
    "/cells/{cell_id}/heat-map.png",
    summary="Read where a cell looks like its class",
    response_class=Response,
    responses=_PNG | _OTHERWISE,
)
def cell_heat_map(context: Context, request: Request, cell_id: UUID) -> Response:
    """A transparent PNG to lay over the crop; a later model may see it otherwise."""
    with context.reading() as connection:
        found, slide_id = heat_map(connection, cell_id), slide_of_cell(connection, cell_id)
        if found is None or slide_id is None:
            raise not_found("heat map", f"of cell {cell_id}")
        context.audit_image("heat-map", cell_id, slide_id)
    etag = f'"{sha256_hex(found.values)[:32]}-{found.width}-{RENDERING}"'
    known = unchanged(request, etag, NO_STORE)
    if known:
        return known
    image = draw_heat_map(found.values, found.width)
    return tagged(Response(image, media_type="image/png"), etag, NO_STORE)


@router.get(
    "/frames/{frame_id}/thumbnail",
    summary="Read a small image of a frame",
    response_class=Response,
    responses=_JPEG | _OTHERWISE,
)
def thumbnail(context: Context, request: Request, frame_id: UUID) -> Response:
    """Of a rejected frame what the device sent; of an accepted one its field, made small."""
    with context.reading() as connection:
        sent = sent_thumbnail(connection, frame_id)
        stored, slide_id = field_images(connection, frame_id), slide_of_frame(connection, frame_id)
        if slide_id is None:
            raise not_found("thumbnail", f"of frame {frame_id}")
        context.audit_image("thumbnail", frame_id, slide_id)
    if sent is not None:
        return _image(request, f'"{sha256_hex(sent)}"', "image/jpeg", lambda: sent)
    if stored is None:
        raise not_found("thumbnail", f"of frame {frame_id}")
    return _image(
        request,
        f'"{stored.sha256}-small"',
        "image/jpeg",
        lambda: encode_thumbnail(decode_image(context.images.read(stored).field)),
    )


def _image(request: Request, etag: str, media_type: str, read: Callable[[], bytes]) -> Response:
    known = unchanged(request, etag, NO_STORE)
    return known or tagged(Response(read(), media_type=media_type), etag, NO_STORE)


def _crop(images: FieldImages, index: int) -> bytes:
    if index >= len(images.crops):
        raise PermanentError("crop-missing", f"the stored field has no crop {index}")
    return images.crops[index]
