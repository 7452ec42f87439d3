"""What a device keeps of its commands: the old file or the new one, never half of one."""

import logging
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from hemaline_shared.device_commands import Command, CommandResult
from hemaline_shared.durable import write_durably
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

COMMANDS_FILE = "commands.json"

State: TypeAlias = Literal["received", "seen", "done", "refused", "expired", "failed"]


class Record(BaseModel):
    """One command.

    Attributes:
        command: As it was first heard.
        state: `received` and `seen` are not its end.
        slide_id: The slide that it was taken to be of when it was begun, where it is of one.
        reason: Why it was not done.
        detail: What there is to say.
        is_over: Of a decommissioned device: nothing is left of it but this.
    """

    model_config = ConfigDict(frozen=True)

    command: Command
    state: State
    slide_id: UUID | None = None
    reason: str | None = None
    detail: str | None = None
    is_over: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state not in {"received", "seen"}

    @property
    def result(self) -> CommandResult:
        """What is told of it."""
        return CommandResult(
            command_id=self.command.command_id,
            outcome=self.state,
            reason=self.reason,
            detail=self.detail,
        )


class KeptCommands(BaseModel):
    """The file. `floor` is the latest time that the cloud has told: it cannot be earlier now."""

    model_config = ConfigDict(frozen=True)

    floor: AwareDatetime | None = None
    records: tuple[Record, ...] = ()

    def find(self, command_id: UUID) -> Record | None:
        """Return what is known of a command."""
        found = (each for each in self.records if each.command.command_id == command_id)
        return next(found, None)

    def with_record(self, record: Record) -> "KeptCommands":
        """Return all of it with a record in its place, or at the end."""
        command_id = record.command.command_id
        if self.find(command_id) is None:
            return self.model_copy(update={"records": (*self.records, record)})
        records = (
            record if each.command.command_id == command_id else each for each in self.records
        )
        return self.model_copy(update={"records": tuple(records)})


def read_commands(directory: Path) -> KeptCommands:
    """Read the file of a spool's directory; a missing one is empty, and so is a damaged one.

    The cloud sends again what it has heard no end of: that may be done a second time then.
    """
    try:
        return KeptCommands.model_validate_json((directory / COMMANDS_FILE).read_bytes())
    except FileNotFoundError:
        return KeptCommands()
    except (OSError, ValidationError):
        logger.warning("%s in %s cannot be read: it is begun anew", COMMANDS_FILE, directory)
        return KeptCommands()


def write_commands(directory: Path, kept: KeptCommands) -> None:
    """Put the file in the place of the one before.

    Raises:
        TransientError: `commands-unwritable`; the file is as it was.
    """
    path = directory / COMMANDS_FILE
    try:
        write_durably(path, kept.model_dump_json().encode())
    except OSError as error:
        raise TransientError(
            "commands-unwritable", f"{path} cannot be written: {error.strerror or error}"
        ) from error
