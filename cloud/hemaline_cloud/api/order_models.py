"""Orders and whose blood it is, as the API takes and answers them."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from hemaline_cloud.api.review_models import Text
from hemaline_cloud.orders.order import BloodCount, NewOrder
from hemaline_cloud.review.states import ReviewState
from hemaline_shared.barcodes import LONGEST
from hemaline_shared.topics import SITE_NAME, is_site_name

_PRINTED = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Words = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=_PRINTED),
]


def _is_site(name: str) -> str:
    if not is_site_name(name):
        raise ValueError("no site has such a name")
    return name


Site = Annotated[
    str, AfterValidator(_is_site), WithJsonSchema({"type": "string", "pattern": SITE_NAME})
]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PatientView(_View):
    """Whose blood it is; for those alone who may know."""

    patient_id: UUID = Field(description="Random; says nothing of a person.")
    identifier: str = Field(description="By which the hospital knows them.", repr=False)
    name: str = Field(repr=False)
    birth_date: date = Field(repr=False)


class OrderView(_View):
    """What somebody asked of the laboratory about one specimen."""

    order_id: UUID
    site: str
    barcode: str = Field(description="The laboratory's code of the specimen.")
    ordered_at: datetime | None
    blood_count: BloodCount
    patient: PatientView | None = Field(
        description="Null: the order names none, or you may not know whose blood it is."
    )


class PreviousSmear(_View):
    """Another slide of the same person."""

    slide_id: UUID
    accession: str
    opened_at: datetime
    review: ReviewState
    blasts: float | None = Field(
        description="Share of the leukocytes: as signed, else as the model counts. Null: unknown."
    )
    signed: bool


class AskedView(_View):
    """What waits for a second person: to unlink a slide that is signed."""

    by_name: str
    at: datetime
    reason: str
    yours: bool = Field(description="Whether you asked: then another person must confirm.")


class SlideOrderView(_View):
    """What a slide was made for."""

    slide_id: UUID
    version: int = Field(description="Of the slide's review: the ETag, and what If-Match names.")
    order: OrderView | None = Field(description="Null: it is linked to none.")
    linked_by_name: str | None
    linked_at: datetime | None
    asked: AskedView | None
    previous: list[PreviousSmear] = Field(
        description="Other slides of the same person, the newest first; empty where you may not "
        "know whose they are."
    )


class LinkBody(_Body):
    """Link a slide: by the code as it was scanned or typed, or by an order's id."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "oneOf": [
                {
                    "required": [name],
                    "properties": {name: {"type": "string"}, other: {"type": "null"}},
                }
                for name, other in (("barcode", "order_id"), ("order_id", "barcode"))
            ]
        },
    )

    barcode: str | None = Field(default=None, max_length=4 * LONGEST)
    order_id: UUID | None = None
    another_smear: bool = Field(
        default=False,
        description="You say that it is one more smear of a tube whose code another slide has.",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.barcode is None) == (self.order_id is None):
            raise ValueError("name a barcode or an order, and not both")
        return self


class LinkChanged(_View):
    """What a slide is linked to now. It tells no identity: answers are kept for a day."""

    slide_id: UUID
    version: int
    order_id: UUID | None
    before: UUID | None = Field(description="The order that was unlinked: link it anew to undo.")


class AskBody(_Body):
    """Ask a second person to unlink a slide that is signed."""

    reason: Text


class AnswerBody(_Body):
    """Answer what was asked."""

    agrees: bool = Field(description="Yes: it is unlinked. No: it stays as it is.")


class OrderBody(NewOrder):
    """An order, typed in."""

    site: Site


class OrderAdded(_View):
    """The order is there. It tells no identity: answers are kept for a day."""

    order_id: UUID
    barcode: str
    new: bool = Field(description="Whether it was not there before.")


class FindBody(_Body):
    """Search slides by words that may name a person: so they stand in no address."""

    words: Words
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=512)
