"""What an order says: whose blood, under which code, with which blood count. Pure."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from hemaline_shared.barcodes import LONGEST

_Words = Annotated[
    str,
    StringConstraints(
        min_length=1,
        strip_whitespace=True,
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
    ),
]


def _is_past(day: date) -> date:
    if not date(1880, 1, 1) <= day <= date.today():  # noqa: DTZ011  # a birthday has no time zone
        raise ValueError("no living person was born then")
    return day


def _is_storable(moment: datetime) -> datetime:
    """Refuse the first and last years: in another time zone they are no dates any more."""
    if not 1900 <= moment.year <= 2200:
        raise ValueError("no order is of that time")
    return moment


class _Part(BaseModel):
    # What is wrong with a name is told without the name.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PatientIdentity(_Part):
    """Who somebody is. Its text form shows nothing, wherever it turns up.

    Attributes:
        identifier: By which the hospital knows them.
    """

    identifier: _Words = Field(max_length=64, repr=False)
    name: _Words = Field(max_length=200, repr=False)
    birth_date: Annotated[date, AfterValidator(_is_past)] = Field(repr=False)


class CellCount(_Part):
    """Cells in a volume of blood; 10*9/L is the same as 1000 per µL."""

    value: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    unit: Literal["10*9/L", "10*3/uL", "/uL"] = "10*9/L"


class Haemoglobin(_Part):
    """Haemoglobin in a volume of blood."""

    value: float = Field(ge=0, le=400, allow_inf_nan=False)
    unit: Literal["g/dL", "g/L", "mmol/L"]


class BloodCount(_Part):
    """What the analyser counted; units are UCUM's."""

    wbc: CellCount | None = Field(default=None, description="White blood cells.")
    hb: Haemoglobin | None = Field(default=None, description="Haemoglobin.")
    plt: CellCount | None = Field(default=None, description="Platelets.")


class NewOrder(_Part):
    """An order as it comes: typed in, from a file, from another system."""

    barcode: str = Field(
        min_length=1, max_length=2 * LONGEST, description="The laboratory's code of the specimen."
    )
    patient: PatientIdentity | None = None
    blood_count: BloodCount = BloodCount()
    ordered_at: Annotated[datetime, AfterValidator(_is_storable)] | None = None
