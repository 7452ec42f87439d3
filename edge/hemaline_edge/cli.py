"""`hemaline-edge run | enrol | capture-once | spool | doctor`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from hemaline_edge.settings import EdgeSettings, load_settings
from hemaline_shared.commands import CANNOT_START, command_line
from hemaline_shared.errors import HemalineError
from hemaline_shared.logs import set_up_logging
from hemaline_shared.redaction import redact
from hemaline_shared.stopping import on_stop_signal
from hemaline_shared.terminal import fail, make_console, say

app = command_line(
    "hemaline-edge",
    "The agent beside a microscope. Settings come from the environment (HEMALINE_SITE, "
    "HEMALINE_SOURCE__PATH …) or a TOML file; docs/edge.md lists them.",
    part="edge",
)
spool_app = typer.Typer(
    invoke_without_command=True,
    help="What waits in the spool, the slides, and what was quarantined and why; with a verb: the "
    "images that stay here of quarantined frames.",
)
app.add_typer(spool_app, name="spool")
_Config = Annotated[
    Path | None, typer.Option("--config", help="A TOML file; the environment wins over it.")
]

NOT_IN_TIME = 3


@app.command()
def run(
    config: _Config = None,
    until_drained: Annotated[
        bool,
        typer.Option(help="Stop when the source is at its end and the cloud has all of it."),
    ] = False,
    stat: Annotated[
        bool, typer.Option("--stat", help="Every slide of this run is urgent (STAT).")
    ] = False,
    time_limit: Annotated[
        float | None, typer.Option(help="Stop after so many seconds, with exit status 3.")
    ] = None,
) -> None:
    """Capture, judge, preprocess, spool and publish, until SIGTERM or Ctrl-C."""
    from hemaline_edge.agent import Agent
    from hemaline_edge.device_commands.decommissioning import Decommissioning
    from hemaline_edge.device_commands.doing import Ending

    settings = _settings(config)
    if stat:
        settings = settings.model_copy(update={"priority": "stat"})
    if until_drained and not settings.has_an_end:
        fail(
            "--until-drained needs a source with an end: a folder with watch = false, a video "
            "file or the simulator"
        )
    with _refusing():
        decommissioning = Decommissioning(settings)
        if decommissioning.is_due:
            decommissioning.run()
        agent = Agent(settings)
        on_stop_signal(agent.stop)
        in_time = agent.run(until_drained=until_drained, time_limit_s=time_limit)
        if agent.ending is Ending.NEW_START:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    if not in_time:
        fail("the time limit ended the run", NOT_IN_TIME)


@app.command()
def enrol(
    config: _Config = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the token; else it is asked for.")
    ] = None,
) -> None:
    """Make this device's key, and get its certificate with a token that is good once."""
    from hemaline_edge.device_commands.decommissioning import allow_again
    from hemaline_edge.enrolment import DeviceCertificate

    settings = _settings(config)
    with _refusing():
        certificate = DeviceCertificate(settings)
        token = token_file.read_text() if token_file else typer.prompt("Token", hide_input=True)
        until = certificate.enrol(token.strip())
        allow_again(settings)
    say(f"{settings.name} has a certificate until {until:%Y-%m-%d %H:%M} UTC")


@app.command("capture-once")
def capture_once(
    config: _Config = None,
    timeout: Annotated[float, typer.Option(help="Wait so many seconds for a frame.")] = 30.0,
) -> None:
    """Capture one frame into the spool, and say what the quality gate thinks of it."""
    from hemaline_edge.once import capture_one

    settings = _settings(config)
    with _refusing():
        good, text = capture_one(settings, timeout)
    say(text)
    sys.exit(0 if good else 1)


@spool_app.callback()
def spool(
    context: typer.Context,
    config: _Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show what waits, the slides, and what was quarantined and why; or use a verb."""
    from hemaline_edge.listing import as_document, as_lines, as_tables
    from hemaline_edge.spool.kept import open_kept

    if context.invoked_subcommand:
        context.obj = config  # read by the verb: its --help needs no settings
        return
    settings = _settings(config)
    with _refusing(), open_kept(settings.spool.path, read_only=True) as view:
        document = as_document(view, settings.spool.quota_bytes)
    if as_json:
        make_console().print_json(data=document)
        return
    make_console().print(*as_tables(document), sep="\n")
    for line in as_lines(document):
        say(line)


@spool_app.command("list")
def list_kept(context: typer.Context) -> None:
    """List the images that stay here of quarantined frames, a line each, longest ago first."""
    from hemaline_edge import spool_verbs as verbs

    with _refusing():
        verbs.list_kept(_spool_of(context), typer.echo)


@spool_app.command("show")
def show_kept(context: typer.Context, message_id: UUID) -> None:
    """Show one of them: of which frame, why it stays, what was done about it."""
    from hemaline_edge import spool_verbs as verbs

    with _refusing():
        verbs.show_kept(_spool_of(context), message_id, typer.echo)


@spool_app.command("retry")
def retry_kept(
    context: typer.Context,
    message_ids: Annotated[list[UUID] | None, typer.Argument()] = None,
    reason: str | None = None,
) -> None:
    """Send frames again as they were captured: the named ones, or all of one --reason."""
    from hemaline_edge import spool_verbs as verbs

    if bool(message_ids) == bool(reason):
        raise typer.BadParameter("Name frames, or a --reason; not both.")
    with _refusing():
        verbs.retry_kept(_spool_of(context), message_ids or [], reason, typer.echo)


@spool_app.command("discard")
def discard_kept(
    context: typer.Context, message_ids: list[UUID], why: Annotated[str, typer.Option()]
) -> None:
    """Delete images for good, with a reason that the spool keeps."""
    from hemaline_edge import spool_verbs as verbs

    with _refusing():
        verbs.discard_kept(_spool_of(context), message_ids, why, typer.echo)


@app.command()
def doctor(config: _Config = None) -> None:
    """Check settings, disk, clock, spool, source and broker; say what to do where one fails."""
    from hemaline_edge.doctor import examine

    settings = _settings(config)
    console = make_console()
    healthy = True
    for finding in examine(settings):
        mark = ("✗", "red") if finding.problem else ("✓", "green")
        text = redact(finding.problem or finding.good)
        console.print(Text.assemble(mark, f" {finding.what}: {text}"))
        healthy = healthy and not finding.problem
    sys.exit(0 if healthy else 1)


def _spool_of(context: typer.Context) -> Path:
    return _settings(context.obj).spool.path


def _settings(config: Path | None) -> EdgeSettings:
    settings = load_settings(config)
    set_up_logging(settings.log_level, settings.log_form)
    return settings


@contextmanager
def _refusing() -> Iterator[None]:
    """End with the status that says: it did not start, whatever kept it from that."""
    try:
        yield
    except HemalineError as error:
        fail(str(error), CANNOT_START)
