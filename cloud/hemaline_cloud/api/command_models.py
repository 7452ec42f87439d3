"""Commands to devices as the API takes and gives them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hemaline_cloud.fleet.commands import CommandState
from hemaline_shared.device_commands import LONGEST, RequestReason, Verb

_Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_SECONDS = Annotated[int, Field(ge=60, le=int(LONGEST.total_seconds()))]


class CommandBody(BaseModel):
    """What a device is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Verb
    arguments: dict[str, Any] = Field(
        default={}, max_length=8, description="What belongs to the verb, and nothing else."
    )
    why: _Why = Field(description="Kept here; it does not travel to the device.")
    lasts_s: _SECONDS | None = Field(
        default=None, description="Until then the device may do it; by default as its verb has it."
    )


class RequestBody(BaseModel):
    """What a reader needs of a slide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Annotated[Verb, Field(pattern="^(more-fields|recapture)$")] = "more-fields"
    reason: RequestReason
    cells: int | None = Field(
        default=None, ge=1, le=10_000, description="Of `more-fields`: about so many more."
    )


class CommandView(BaseModel):
    """A command as it stands."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    command_id: UUID
    site: str
    device: str
    verb: str
    arguments: dict[str, Any]
    slide_id: UUID | None
    why: str
    asked_by_name: str
    asked_at: datetime
    expires_at: datetime
    approved_by_name: str | None
    state: CommandState
    sent_at: datetime | None = Field(description="When the broker first had it.")
    changed_at: datetime
    reason: str | None = Field(description="Why it was not done: a stable word.")
    detail: str | None
    lines: list[str] | None = Field(description="What `collect-logs` collected.")


class CommandsView(BaseModel):
    """Commands, the newest first."""

    model_config = ConfigDict(frozen=True)

    commands: list[CommandView]
