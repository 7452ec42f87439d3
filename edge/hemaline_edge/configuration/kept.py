"""What a device keeps of its configuration: the old file or the new one, never half of one."""

import logging
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hemaline_shared.device_configuration import DesiredConfiguration, ReportedConfiguration
from hemaline_shared.durable import sync_directory
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

CONFIGURATION_FILE = "configuration.json"


class Kept(BaseModel):
    """One file of it.

    Attributes:
        good: The last configuration that proved good; None: the device's own file alone.
        trying: The one on trial. A start that finds one begins with `good`.
        trials: How often `trying` was begun.
        report: What was last reported.
    """

    model_config = ConfigDict(frozen=True)

    good: DesiredConfiguration | None = None
    trying: DesiredConfiguration | None = None
    trials: int = Field(default=0, ge=0)
    report: ReportedConfiguration | None = None


def read_kept(directory: Path) -> Kept:
    """Read the file; a missing one is empty, and so is a damaged one: the broker has it still."""
    try:
        return Kept.model_validate_json((directory / CONFIGURATION_FILE).read_bytes())
    except FileNotFoundError:
        return Kept()
    except (OSError, ValidationError):
        logger.warning(
            "%s in %s cannot be read: the device's own settings hold until the cloud sends others",
            CONFIGURATION_FILE,
            directory,
        )
        return Kept()


def write_kept(directory: Path, kept: Kept) -> None:
    """Write, fsync, rename, fsync the directory.

    Raises:
        TransientError: `configuration-unwritable`; the file is as it was.
    """
    path = directory / CONFIGURATION_FILE
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(kept.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(directory)
    except OSError as error:
        raise TransientError(
            "configuration-unwritable", f"{path} cannot be written: {error.strerror or error}"
        ) from error
