"""Whatever number a message may carry, its column can hold."""

import pytest
from annotated_types import Ge, Gt, Le, Lt
from sqlalchemy import BigInteger, Integer, SmallInteger

from hemaline_cloud.database.schema import (
    Cell,
    ConfigurationDocument,
    ConfigurationReport,
    Device,
    FieldOfView,
    Frame,
    Slide,
)
from hemaline_shared.device_configuration import DesiredConfiguration, ReportedConfiguration
from hemaline_shared.messages import (
    Attachment,
    CellRecord,
    FieldMessage,
    SlideClosedMessage,
    Status,
    UploadRequest,
)

_BITS = {SmallInteger: 16, Integer: 32, BigInteger: 64}
STORED = [
    (FieldMessage, "sequence", Frame.sequence),
    (FieldMessage, "width", FieldOfView.width),
    (FieldMessage, "height", FieldOfView.height),
    (Attachment, "size", FieldOfView.object_size),
    (UploadRequest, "size", FieldOfView.object_size),
    (SlideClosedMessage, "frames", Slide.frames_expected),
    (CellRecord, "index", Cell.index),
    (CellRecord, "left", Cell.left),
    (CellRecord, "top", Cell.top),
    (CellRecord, "right", Cell.right),
    (CellRecord, "bottom", Cell.bottom),
    (DesiredConfiguration, "version", ConfigurationDocument.version),
    (ReportedConfiguration, "version", ConfigurationReport.version),
    (ReportedConfiguration, "in_force", ConfigurationReport.in_force),
    (Status, "session", Device.session),
    (Status, "spool_id", Device.spool_id),
]


@pytest.mark.parametrize(
    ("model", "field", "column"), STORED, ids=[f"{m.__name__}.{f}" for m, f, _ in STORED]
)
def test_a_number_within_the_wires_bounds_fits_its_column(model, field, column):
    low, high = _bounds(model.model_fields[field].metadata)
    largest = 2 ** (_BITS[type(column.type)] - 1) - 1
    assert -largest - 1 <= low <= high <= largest


def test_every_integer_of_a_stored_message_is_looked_at():
    looked_at = {(model, field) for model, field, _ in STORED}
    for model in {model for model, _, _ in STORED}:
        integers = {name for name, info in model.model_fields.items() if info.annotation is int}
        assert integers <= {field for one, field in looked_at if one is model}


def _bounds(metadata) -> tuple[int, int]:
    low = next(m.ge if isinstance(m, Ge) else m.gt + 1 for m in metadata if isinstance(m, Ge | Gt))
    high = next(m.le if isinstance(m, Le) else m.lt - 1 for m in metadata if isinstance(m, Le | Lt))
    return low, high
