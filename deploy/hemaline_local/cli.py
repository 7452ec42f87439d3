"""`hemaline up | demo`: the whole system on one machine."""

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from hemaline_local.demo import Demo, Outcome, verdict
from hemaline_local.microscopes import Microscope, from_images, simulated
from hemaline_local.ports import answers, free_port
from hemaline_local.services import Layout
from hemaline_local.system import OneMachine, default_home
from hemaline_shared.errors import HemalineError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Hemaline on one machine. Research use only: not for use in diagnostic procedures.",
)
console = Console()

_Port = Annotated[int, typer.Option(help="Port of the result page; a free one if it is taken.")]


@app.command()
def up(
    home: Annotated[Path | None, typer.Option(help="Where the data stay between runs.")] = None,
    port: _Port = 8080,
) -> None:
    """Run the system until Ctrl-C; microscopes connect to its broker."""
    with _told(), _machine(home or default_home(), port) as machine:
        console.print(f"broker for edge agents: 127.0.0.1, port {machine.layout.broker_port}")
        _serve_until_interrupted(machine)


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
        _serve_until_interrupted(machine)


def _run(machine: OneMachine, scopes: list[Microscope], timeout: float | None) -> Outcome:
    run = Demo(machine, scopes)
    try:
        return run.run(console, timeout)
    finally:
        run.stop()


@contextmanager
def _machine(home: Path, port: int) -> Iterator[OneMachine]:
    if answers(port):
        taken, port = port, free_port()
        console.print(f"port {taken} is taken; the result page is on port {port}")
    layout = Layout.choose(home.resolve(), port)
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


def _serve_until_interrupted(machine: OneMachine) -> None:
    console.print(f"\nResults: [bold link]{machine.layout.address}[/]   (Ctrl-C stops everything)")
    threading.Event().wait()


@contextmanager
def _told() -> Iterator[None]:
    """End in good order on Ctrl-C and SIGTERM, and tell a failure in a sentence."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except HemalineError as error:
        console.print(f"[red]{error.reason}[/]: {error}", highlight=False)
        sys.exit(1)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
