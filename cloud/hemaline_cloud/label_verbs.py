"""`hemaline-cloud labels export`: the cells that somebody stands behind, as a training set."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.cell_classes import CELL_CLASSES
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.operators import operator_engine
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_cloud.database.reading.fields import field_images, get_field
from hemaline_cloud.database.reading.slides import get_slide
from hemaline_cloud.database.seen import seen_by
from hemaline_cloud.database.signing import signed_reports, signed_slides
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.principal import Principal, operator
from hemaline_cloud.review.report import SignedReport
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.packing import FieldImages, sha256_hex, unpack
from hemaline_shared.pixels.crops import cut_crop
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_crop
from hemaline_shared.pixels.types import Box, Leukocyte, Scale

_Print = Callable[[str], None]


@dataclass(slots=True)
class _Exported:
    cells: Counter[str] = field(default_factory=Counter)
    specimens: set[UUID] = field(default_factory=set)
    slides: int = 0
    simulated: int = 0
    unread: list[UUID] = field(default_factory=list)


def export_labels(settings: IngestSettings, folder: Path, echo: _Print) -> None:
    """Write `folder/<class>/<specimen>_<cell>.png` of every signed slide.

    A cell's class is what a person calls it in the report that holds; where nobody called it
    anything, the model's, if the signer saw the cell, knew the model's answers, and no result has
    come since. The specimen in
    the name is the group that a split must not tear apart. Drawn cells never train anything:
    simulated slides are left out.

    Raises:
        PermanentError: `folder-not-empty`, or `nothing-signed`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PermanentError("folder-not-empty", f"{folder} is not empty: name a new folder.")
    store, exported = open_store(settings.objects), _Exported()
    with operator_engine(settings, statement_timeout_s=0) as engine:
        with unit_of_work(engine) as connection:
            slides = signed_slides(connection)
        for slide_id in slides:
            with unit_of_work(engine) as connection:
                report = signed_reports(connection, [slide_id])[slide_id]
                pictures = _pictures(connection, store, report, exported)
            # On record before anything lies in the folder.
            for file, crop in pictures.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(crop)
    if not exported.cells:
        raise PermanentError(
            "nothing-signed", "No signed slide has a cell to export; simulated slides do not count."
        )
    for label, cells in sorted(exported.cells.items()):
        echo(f"{label}: {cells}")
    echo(
        f"{exported.cells.total()} cells of {exported.slides} signed slides and "
        f"{len(exported.specimens)} specimens are in {folder}; "
        f"{exported.simulated} simulated slides are left out."
    )
    if exported.unread:
        named = ", ".join(map(str, exported.unread[:5]))
        echo(f"{len(exported.unread)} fields could not be read and are left out: {named}")
    echo(f"Next: hemaline-train data adopt {folder} --group '^([^_]+)_'")


def _pictures(
    connection: Connection, store: ObjectStore, report: SignedReport, exported: _Exported
) -> dict[Path, bytes]:
    """Return the crops of a slide by the file that each becomes, and put it on record."""
    if report.simulated:
        exported.simulated += 1
        return {}
    by_field: dict[UUID, list[CellRow]] = {cell.frame_id: [] for cell in report.added}
    cells_of_slide = all_cells(connection, report.slide_id)
    names = _names(connection, report, cells_of_slide)
    for cell in cells_of_slide:
        if cell.cell_id in names:
            by_field.setdefault(cell.frame_id, []).append(cell)
    pictures = {}
    for frame_id, cells in by_field.items():
        images = _images(connection, store, frame_id)
        if images is None:
            exported.unread.append(frame_id)
            continue
        crops = [(names[cell.cell_id], cell.cell_id, images.crops[cell.index]) for cell in cells]
        crops += _added_crops(connection, report, frame_id, images.field)
        for label, cell_id, crop in crops:
            pictures[Path(label) / f"{report.specimen_id}_{cell_id}.png"] = crop
            exported.cells[label] += 1
    if pictures:
        exported.slides += 1
        exported.specimens.add(report.specimen_id)
        detail = f"{len(pictures)} cells, signature {report.signature_id}"
        slide_id = report.slide_id
        event = Event("export-labels", "slide", slide_id, detail, report.site, slide_id)
        record_event(connection, operator(operator_name()), event)
    return pictures


def _names(
    connection: Connection, report: SignedReport, cells: Sequence[CellRow]
) -> Mapping[UUID, str]:
    """Return what each cell is called that somebody stands behind."""
    names = {label.cell_id: label.label for label in report.labels}
    if report.alone:
        return names  # the signer did not know what the model says
    slide = get_slide(connection, report.slide_id)
    if slide is None or slide.result is None or slide.result.revision != report.revision:
        return names  # what the model says now is not what was signed
    signer = Principal(report.signed_by, report.signed_by_name, "person")
    seen = seen_by(connection, signer, report.slide_id, report.revision).cells
    of_model = {
        cell.cell_id: cell.label
        for cell in cells
        if cell.cell_id in seen and cell.excluded is None and cell.label in CELL_CLASSES
    }
    return of_model | names


def _added_crops(
    connection: Connection, report: SignedReport, frame_id: UUID, jpeg: bytes
) -> list[tuple[str, UUID, bytes]]:
    """Cut the cells of a field that people added, as the pixel pipeline cuts those it finds.

    Its own crops have not been through JPEG; of these there is nothing better.
    """
    added = [cell for cell in report.added if cell.frame_id == frame_id]
    field = get_field(connection, frame_id) if added else None
    if field is None:
        return []
    image, scale = decode_image(jpeg), Scale(field.um_per_px, "configured")
    crops = []
    for cell in added:
        box = Box(cell.left, cell.top, cell.right, cell.bottom)
        crop = cut_crop(image, Leukocyte(box, 1.0), 0, scale)
        crops.append((cell.label, cell.added_cell_id, encode_crop(crop.pixels)))
    return crops


def _images(connection: Connection, store: ObjectStore, frame_id: UUID) -> FieldImages | None:
    stored = field_images(connection, frame_id)
    if stored is None:
        return None
    try:
        packed = store.get(stored.key)
        images = unpack(packed)
    except PermanentError:  # it is gone, or damaged: the others are worth having
        return None
    # Nobody named what lies there now.
    return images if sha256_hex(packed) == stored.sha256 else None
