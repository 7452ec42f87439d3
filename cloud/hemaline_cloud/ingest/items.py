"""What a message from the broker turns into on its way to the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict

from hemaline_shared.device_commands import CommandResult
from hemaline_shared.device_configuration import ReportedConfiguration
from hemaline_shared.messages import (
    FieldMessage,
    QuarantinedMessage,
    Receipt,
    RejectedMessage,
    SlideClosedMessage,
    Status,
    Telemetry,
    UploadGrant,
    WireModel,
)
from hemaline_shared.mqtt import Inbound
from hemaline_shared.topics import Channel, DeviceName


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came, and when."""

    inbound: Inbound
    received_at: datetime


class FrameIdentity(WireModel):
    """The part of a message that says which frame it is; read even where the rest is wrong."""

    model_config = ConfigDict(from_attributes=True)

    message_id: UUID
    slide_id: UUID
    specimen_id: UUID
    site: str
    device: str
    edge_version: str
    sequence: int
    captured_at: AwareDatetime
    source: Literal["folder", "camera", "simulator"]

    @property
    def name(self) -> DeviceName:
        """Who the message says it is from."""
        return DeviceName(self.site, self.device)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A good frame, verified: `packed` is to be stored under `key`.

    Without `packed` it is stored there already, or the ledger has settled an earlier delivery.
    """

    delivery: Delivery
    name: DeviceName
    message: FieldMessage
    packed: bytes | None
    key: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A good frame whose images are still to be fetched from where its device uploaded them."""

    delivery: Delivery
    name: DeviceName
    message: FieldMessage


@dataclass(frozen=True, slots=True)
class EndedAtEdge:
    """A frame whose way ended at the edge: rejected or quarantined there."""

    delivery: Delivery
    name: DeviceName
    message: RejectedMessage | QuarantinedMessage


@dataclass(frozen=True, slots=True)
class Closing:
    """The last word on a slide."""

    delivery: Delivery
    name: DeviceName
    message: SlideClosedMessage


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """How a device is doing, in its own words."""

    delivery: Delivery
    name: DeviceName
    message: Status | Telemetry | ReportedConfiguration | CommandResult


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to a device that asked where to upload."""

    delivery: Delivery
    name: DeviceName
    grant: UploadGrant


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that no retry helps, and what of it can be trusted.

    Attributes:
        name: Whose topic it came on; None where the topic names nobody.
        message_id: From the payload, or else from MQTT's Correlation Data.
        frame: Which frame it is, where the payload says so and its device is the topic's.
        sha256: The hash that its images claim.
        inline_sha256: The hash of the images inside it, whatever they claim.
        needs_version: The schema version to wait for, where it is newer than ours.
        upload: The key of the upload that it claims.
        discard: Objects that were stored before the ledger contradicted the message.
    """

    delivery: Delivery
    name: DeviceName | None
    channel: Channel | None
    reason: str
    detail: str
    message_id: UUID | None = None
    frame: FrameIdentity | None = None
    sha256: str | None = None
    inline_sha256: str | None = None
    needs_version: int | None = None
    upload: str | None = None
    discard: tuple[str, ...] = ()


FrameItem: TypeAlias = Accepted | EndedAtEdge
SlideItem: TypeAlias = FrameItem | Closing
Recordable: TypeAlias = SlideItem | DeviceReport | Granted
Item: TypeAlias = Recordable | Refused


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message, once that is committed.

    Attributes:
        name: Whom to tell; None: nobody can be told.
        answer: The receipt or grant; None: this kind of message has none.
        discard: Objects that nothing refers to any more.
    """

    delivery: Delivery
    name: DeviceName | None
    answer: Receipt | UploadGrant | None
    discard: tuple[str, ...] = ()
