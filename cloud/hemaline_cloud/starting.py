"""What every command that asks the database does first."""

from collections.abc import Callable
from typing import TypeVar

from hemaline_cloud.settings import PROCESSES, DatabaseSettings
from hemaline_shared.logs import set_up_logging
from hemaline_shared.settings import ProcessSettings, read_settings

_P = TypeVar("_P", bound=ProcessSettings)
_D = TypeVar("_D", bound=DatabaseSettings)


def settings_of(kind: type[_P]) -> _P:
    """Read a command's settings, and let it log as they say."""
    settings = read_settings(kind, beside=PROCESSES)
    set_up_logging(settings.log_level, settings.log_form)
    return settings


def start(kind: type[_D], run: Callable[[_D], None]) -> None:
    """Ask the database whether it will do, and run on it."""
    from hemaline_cloud.database.checks import check_at_start  # noqa: PLC0415 - `--help` is quick

    settings = settings_of(kind)
    check_at_start(settings.database_url.get_secret_value())
    run(settings)
