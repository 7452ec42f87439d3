"""`hemaline up | demo`: the whole system on one machine."""

import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from hemaline_local.demo import Demo, Outcome, verdict
from hemaline_local.microscopes import Agents, Microscope, endless, from_images, simulated
from hemaline_local.ports import answers, free_port
from hemaline_local.services import Layout
from hemaline_local.system import OneMachine, default_home
from hemaline_shared.errors import HemalineError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Hemaline on one machine. Research use only: not for use in diagnostic procedures.",
)
console = Console(soft_wrap=True)  # a path that is cut in two cannot be copied
_WATCH_S = 1.0

_Port = Annotated[int, typer.Option(help="Port of the result page; a free one if it is taken.")]


@app.command()
def up(
    home: Annotated[Path | None, typer.Option(help="Where the data stay between runs.")] = None,
    microscopes: Annotated[int, typer.Option(min=0, help="Simulated microscopes to run.")] = 0,
    port: _Port = 8080,
    broker_port: Annotated[int, typer.Option(help="Port of the broker for edge agents.")] = 1883,
) -> None:
    """Run the system until Ctrl-C; edge agents connect to its broker."""
    with _told(), _machine(home or default_home(), port, broker_port) as machine:
        console.print(f"broker for edge agents: 127.0.0.1, port {machine.layout.broker_port}")
        with Agents(endless(microscopes), machine.layout) as agents:
            _show_address(machine)
            while True:
                time.sleep(_WATCH_S)
                for device in agents.revive():
                    console.print(f"{device} ended unexpectedly; starting it again")


@app.command()
def demo(
    images: Annotated[
        Path | None,
        typer.Option(
            help="Send these images instead of simulated slides.", exists=True, file_okay=False
        ),
    ] = None,
    slide_column: Annotated[
        str | None, typer.Option(help="Column of manifest.tsv that names the slide.")
    ] = None,
    microscopes: Annotated[int, typer.Option(min=1, help="Simulated microscopes.")] = 3,
    slides: Annotated[int, typer.Option(min=1, help="Slides of each.")] = 1,
    fields: Annotated[int, typer.Option(min=1, help="Fields of each slide.")] = 12,
    exit_: Annotated[bool, typer.Option("--exit", help="Stop after the results.")] = False,
    summary: Annotated[
        Path | None, typer.Option(help="Write the counts to this file, as JSON.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Keep the data here; else they are removed at the end.")
    ] = None,
    port: _Port = 8080,
    timeout: Annotated[float | None, typer.Option(help="Give up after so many seconds.")] = None,
) -> None:
    """Watch microscopes send slides through the real pipeline, then look at the results."""
    scopes = (
        [from_images(images, slide_column)] if images else simulated(microscopes, slides, fields)
    )
    with _told(), _kept(home) as folder, _machine(folder, port) as machine:
        outcome = _run(machine, scopes, timeout)
        console.print(verdict(outcome))
        if summary:
            outcome.write(summary)
        if exit_:
            sys.exit(0 if outcome.whole else 1)
        _show_address(machine)
        threading.Event().wait()


def _run(machine: OneMachine, scopes: list[Microscope], timeout: float | None) -> Outcome:
    with Agents(scopes, machine.layout) as agents:
        return Demo(agents, machine.layout.api_port).run(console, timeout)


@contextmanager
def _machine(home: Path, port: int, broker_port: int | None = None) -> Iterator[OneMachine]:
    layout = Layout(
        home.resolve(),
        broker_port=_port_or_another("broker", broker_port) if broker_port else free_port(),
        ingest_port=free_port(),
        infer_port=free_port(),
        api_port=_port_or_another("result page", port),
    )
    with OneMachine(layout, lambda line: console.print(f"[dim]{line}[/]")) as machine:
        yield machine
        console.print("stopping …")


@contextmanager
def _kept(home: Path | None) -> Iterator[Path]:
    if home:
        yield home
        return
    folder = Path(tempfile.mkdtemp(prefix="hemaline-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _port_or_another(what: str, port: int) -> int:
    if not answers(port):
        return port
    another = free_port()
    console.print(f"port {port} is taken; the {what} is on port {another}")
    return another


def _show_address(machine: OneMachine) -> None:
    console.print(f"\nResults: [bold]{machine.layout.address}[/]   (Ctrl-C stops everything)")


@contextmanager
def _told() -> Iterator[None]:
    """End in good order on Ctrl-C and SIGTERM, and tell a failure in a sentence."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except HemalineError as error:
        console.print(f"[red]{error.reason}[/]: {escape(str(error))}", highlight=False)
        sys.exit(1)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
