"""`hemaline-cloud devices configuration | configure`: what devices are set to, from a terminal."""

import json
from collections.abc import Callable
from pathlib import Path

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.configuration import (
    add_document,
    desired_of,
    newest_document,
    report_of,
    state_of,
)
from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.device_configuration import read_configuration
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.topics import DeviceName

_Print = Callable[[str], None]


def show_configuration(settings: DatabaseSettings, name: DeviceName, echo: _Print) -> None:
    """Print what a device is set to, as the JSON that `configure` takes, and how that stands."""
    with operator_transaction(settings) as connection:
        wanted, report = desired_of(connection, name), report_of(connection, name)
    echo(f"# {name}: {state_of(wanted, report)}")
    if report:
        said = f", {report.detail}" if report.detail else ""
        echo(f"# it said of version {report.version}: {report.outcome}{said}")
        echo(f"# version {report.in_force} holds there (0: its own file)")
    if wanted:
        echo(f"# version {wanted.version}, its site's settings included:")
        echo(json.dumps(json.loads(wanted.content), indent=2))


def put_configuration(
    settings: DatabaseSettings, site: str, device: str | None, file: Path, why: str, echo: _Print
) -> None:
    """Set a device, or all devices of a site, from now on.

    Raises:
        PermanentError: `invalid-configuration`; nothing has changed.
    """
    configuration = read_configuration(_text(file))
    who = operator(operator_name())
    where = f"{site}/{device}" if device else site
    with operator_transaction(settings) as connection:
        before = newest_document(connection, site, device)
        if before and before.configuration == configuration:
            echo(f"{where} is set so already: version {before.version}.")
            return
        row = add_document(connection, who, site, device, configuration, why)
        said = configuration.model_dump_json(exclude_none=True)
        detail = f"{where}, version {row.version}, {why}: {said}"
        event = Event("configure", "device-configuration", row.document_id, detail, site)
        record_event(connection, who, event)
    echo(f"{where}: version {row.version} is desired from now on.")


def _text(file: Path) -> str:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError("invalid-configuration", f"{file} cannot be read: {error}") from error
    return "\n".join(line for line in lines if not line.startswith("#"))
