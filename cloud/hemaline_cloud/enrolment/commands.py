"""`hemaline-cloud devices …`, as typed."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

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


def _device(name: str) -> DeviceName:
    site, separator, device = name.partition("/")
    if not separator:
        raise PermanentError("invalid-device-name", f"{name!r} names no device: write SITE/DEVICE")
    return DeviceName(site, device)
