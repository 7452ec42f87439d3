"""`hemaline-cloud devices …`, as typed."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from hemaline_cloud.settings import MigrateSettings
from hemaline_cloud.starting import start
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import DeviceName

devices = typer.Typer(
    no_args_is_help=True, help="Which devices may speak, and what they are set to."
)
_Name = Annotated[str, typer.Argument(metavar="SITE/DEVICE")]


@devices.command("make-authority")
def make_authority(
    folder: Path,
    host: Annotated[str, typer.Option(help="The name by which devices reach `est`.")],
) -> None:
    """Write a certificate authority into a folder; then take `root.key` off this machine."""
    from hemaline_cloud.enrolment.authority import make_authority as make

    make(folder, host)
    typer.echo(f"{folder}: devices trust root.crt; keep root.key where no network is.")


@devices.command("enrol")
def enrol_device(
    name: _Name, hours: Annotated[float, typer.Option(min=0.1, max=24 * 30)] = 24
) -> None:
    """Print a token with which this device gets its first certificate, once."""
    from hemaline_cloud.enrolment import verbs

    device = _device(name)
    start(
        MigrateSettings,
        lambda settings: verbs.enrol_device(settings, device, timedelta(hours=hours), typer.echo),
    )


@devices.command("revoke")
def revoke_device(name: _Name, why: Annotated[str, typer.Option()]) -> None:
    """Cut a device off: its certificates renew nothing, and the broker hears it no more."""
    from hemaline_cloud.enrolment import verbs

    device = _device(name)
    start(MigrateSettings, lambda settings: verbs.revoke_device(settings, device, why, typer.echo))


@devices.command("configuration")
def show_configuration(name: _Name) -> None:
    """Show what a device is set to from here, and what it said to that."""
    from hemaline_cloud import configuration_verbs as verbs

    device = _device(name)
    start(MigrateSettings, lambda settings: verbs.show_configuration(settings, device, typer.echo))


@devices.command("configure")
def configure(
    name: Annotated[str, typer.Argument(metavar="SITE[/DEVICE]")],
    file: Annotated[Path, typer.Argument(help="The whole document, as JSON.")],
    why: Annotated[str, typer.Option()],
) -> None:
    """Set a device, or all devices of a site; a device's own document wins over its site's."""
    from hemaline_cloud import configuration_verbs as verbs

    site, _, device = name.partition("/")
    DeviceName(site, device or "any")
    start(
        MigrateSettings,
        lambda settings: verbs.put_configuration(
            settings, site, device or None, file, why, typer.echo
        ),
    )


@devices.command("commands")
def show_commands(name: _Name) -> None:
    """List what a device was told to do, and what became of it."""
    from hemaline_cloud import device_command_verbs as verbs

    device = _device(name)
    start(MigrateSettings, lambda settings: verbs.show_commands(settings, device, typer.echo))


@devices.command("command")
def ask_device(
    name: _Name,
    verb: Annotated[str, typer.Argument(help="flush, collect-logs, restart, start-slide …")],
    why: Annotated[str, typer.Option()],
    slide_name: Annotated[str | None, typer.Option(help="Of start-slide and name-slide.")] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Of start-slide.")] = False,
    discard_waiting: Annotated[
        bool, typer.Option("--discard-waiting", help="Of decommission: what waits is lost.")
    ] = False,
    hours: Annotated[float | None, typer.Option(help="How long it may wait.")] = None,
) -> None:
    """Let a device do something, once; what deletes waits for another operator's approval."""
    from hemaline_cloud import device_command_verbs as verbs

    said: dict[str, object] = {"slide_name": slide_name} if slide_name is not None else {}
    said |= {"urgent": True} if urgent else {}
    said |= {"discard_waiting": True} if discard_waiting else {}
    lasts = timedelta(hours=hours) if hours is not None else None
    new = verbs.new_command(_device(name), verb, said, why, lasts)
    start(MigrateSettings, lambda settings: verbs.ask_device(settings, new, typer.echo))


@devices.command("approve")
def approve_command(name: _Name, command_id: UUID) -> None:
    """Approve what another operator asks of a device."""
    from hemaline_cloud import device_command_verbs as verbs

    device = _device(name)
    start(
        MigrateSettings,
        lambda settings: verbs.decide(settings, device, command_id, "approve", typer.echo),
    )


@devices.command("withdraw")
def withdraw_command(name: _Name, command_id: UUID) -> None:
    """Take back what awaits approval."""
    from hemaline_cloud import device_command_verbs as verbs

    device = _device(name)
    start(
        MigrateSettings,
        lambda settings: verbs.decide(settings, device, command_id, "withdraw", typer.echo),
    )


def _device(name: str) -> DeviceName:
    site, separator, device = name.partition("/")
    if not separator:
        raise PermanentError("invalid-device-name", f"{name!r} names no device: write SITE/DEVICE")
    return DeviceName(site, device)
