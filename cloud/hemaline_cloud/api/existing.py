"""What a request names: it is there, and seen by whoever asks, or it is not found."""

from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.api.problems import erased, not_found
from hemaline_cloud.database.erasures import erased_slide
from hemaline_cloud.database.labels import PlacedCell, placed_cells
from hemaline_cloud.database.reading.devices import get_device
from hemaline_cloud.database.reading.slides import SlideRow, get_slide
from hemaline_shared.topics import DeviceName


def existing_slide(connection: Connection, slide_id: UUID) -> SlideRow:
    """Return a slide.

    Raises:
        ProblemError: 404; 410 where it was erased.
    """
    found = get_slide(connection, slide_id)
    if found is None:
        gone = erased_slide(connection, slide_id)
        raise erased("slide", gone) if gone else not_found("slide", slide_id)
    return found


def existing_device(connection: Connection, site: str, device: str) -> DeviceName:
    """Return a device's name.

    Raises:
        ProblemError: 404.
    """
    if get_device(connection, site, device) is None:
        raise not_found("device", f"{site}/{device}")
    return DeviceName(site, device)


def existing_cell(connection: Connection, cell_id: UUID) -> PlacedCell:
    """Return a cell and whose it is.

    Raises:
        ProblemError: 404.
    """
    found = placed_cells(connection, [cell_id])
    if not found:
        raise not_found("cell", cell_id)
    return found[0]
