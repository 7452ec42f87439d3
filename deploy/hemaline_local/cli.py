"""`hemaline up | demo`: the whole system on one machine."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_local.accounts import Accounts
from hemaline_local.child import StoppedError
from hemaline_local.demo import Demo, Outcome, verdict
from hemaline_local.home import default_home, demo_home, usable_home
from hemaline_local.microscopes import Agents, Microscope, endless, from_images, simulated
from hemaline_local.ports import answers, free_port
from hemaline_local.preflight import check_before_start
from hemaline_local.services import Layout
from hemaline_local.system import OneMachine
from hemaline_shared.commands import command_line
from hemaline_shared.errors import PermanentError
from hemaline_shared.redaction import redact
from hemaline_shared.stopping import ignore_stop_signals, on_stop_signal
from hemaline_shared.terminal import make_console

app = command_line(
    "hemaline",
    "Hemaline on one machine. Research use only: not for use in diagnostic procedures.",
    part="local",
)
_WATCH_S = 1.0
_INTERRUPTED = 130

_Appoint = Annotated[
    bool,
    typer.Option(
        "--appoint", help="Let the bundle that runs count, though another one counted in this home."
    ),
]
_Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the result page; a free one if it is taken.")
]


@app.command()
def up(
    home: Annotated[Path | None, typer.Option(help="Where the data stay between runs.")] = None,
    microscopes: Annotated[int, typer.Option(min=0, help="Simulated microscopes to run.")] = 0,
    port: _Port = 8080,
    broker_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the broker for edge agents.")
    ] = 1883,
    *,
    appoint: _Appoint = False,
) -> None:
    """Run the system until Ctrl-C; edge agents connect to its broker."""
    folder = usable_home(home or default_home())
    check_before_start(folder)
    screen = _Screen()
    with (
        screen.until_stopped(),
        _machine(folder, port, broker_port, screen, appoint=appoint) as machine,
    ):
        screen.say(f"broker for edge agents: 127.0.0.1, port {machine.layout.broker_port}")
        _tell_log_ins(machine.accounts, screen, every_run=False)
        with Agents(endless(microscopes), machine.layout, machine.held) as agents:
            screen.say(f"\nResults: {machine.layout.address}   (Ctrl-C stops everything)", "bold")
            while not screen.stopping.wait(_WATCH_S):
                machine.revive()
                for device in agents.revive():
                    screen.say(f"{device} ended unexpectedly; starting it again")
            machine.ask_to_stop()


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
    *,
    appoint: _Appoint = False,
) -> None:
    """Watch microscopes send slides through the real pipeline, then look at the results."""
    if slide_column and not images:
        raise PermanentError("bad-option", "--slide-column needs --images: it names a column there")
    scopes = (
        [from_images(images, slide_column)] if images else simulated(microscopes, slides, fields)
    )
    kept = usable_home(home) if home else None
    screen = _Screen()
    outcome: Outcome | None = None
    with (
        screen.until_stopped(),
        demo_home(kept) as (folder, logs),
        _machine(
            _checked(folder), port, None, screen, logs, throwaway=kept is None, appoint=appoint
        ) as machine,
    ):
        _tell_log_ins(machine.accounts, screen, every_run=True)
        outcome = _watch(machine, scopes, screen, timeout)
        if summary:
            outcome.write(summary)
        if not exit_:
            screen.say(f"\nResults: {machine.layout.address}   (Ctrl-C stops everything)", "bold")
        while not exit_ and not screen.stopping.wait(_WATCH_S):
            machine.revive()
    if outcome is None:
        sys.exit(_INTERRUPTED)
    sys.exit(0 if outcome.whole else 1)


class _Screen:
    """What a person sees, and the wish of a person (or of a supervisor) that it all ends."""

    def __init__(self) -> None:
        self.console: Console = make_console()
        self.stopping = threading.Event()

    def say(self, line: str, style: str = "") -> None:
        """Print a line as it is."""
        self.console.print(redact(line), style=style, markup=False)

    def show_secret(self, line: str) -> None:
        """Print what a person must see unmasked."""
        self.console.print(line, markup=False, highlight=False)

    @contextmanager
    def until_stopped(self) -> Iterator[None]:
        """End in good order at Ctrl-C, SIGTERM or a closed terminal, and answer at once."""
        on_stop_signal(self._stop)
        try:
            yield
        except StoppedError:
            return
        finally:
            ignore_stop_signals()

    def _stop(self) -> None:
        try:
            self.say("stopping …")
        finally:
            self.stopping.set()


def _watch(
    machine: OneMachine, scopes: list[Microscope], screen: _Screen, timeout: float | None
) -> Outcome:
    with Agents(scopes, machine.layout, machine.held) as agents:
        outcome = Demo(agents, machine, screen.stopping).run(screen.console, timeout)
    screen.console.print(verdict(outcome))
    return outcome


def _tell_log_ins(accounts: Accounts, screen: _Screen, *, every_run: bool) -> None:
    """Say names and passwords, a demo's at each run; later, where they stand."""
    if not accounts.passwords:
        screen.say("log in with the accounts that you know (hemaline-cloud people list)")
        return
    if not accounts.new and not every_run:
        screen.say(f"names and passwords to log in: {accounts.file}")
        return
    screen.say("\nLog in with a name and its password:", "bold")
    for name, password in accounts.passwords.items():
        screen.show_secret(f"  {name:14}{password}")
    if not every_run:
        screen.say(f"They are kept in {accounts.file}, for your eyes only.")


@contextmanager
def _machine(
    home: Path,
    port: int,
    broker_port: int | None,
    screen: _Screen,
    logs: Path | None = None,
    *,
    throwaway: bool = False,
    appoint: bool,
) -> Iterator[OneMachine]:
    layout = Layout(
        home,
        broker_port=_free(broker_port or 0, "broker", screen),
        ingest_port=free_port(),
        infer_port=free_port(),
        api_port=_free(port, "result page", screen),
        logs=logs,
        throwaway=throwaway,
    )

    def say(line: str) -> None:
        screen.say(line, "dim")

    with OneMachine(layout, say, screen.stopping, appoint=appoint) as machine:
        yield machine


def _checked(home: Path) -> Path:
    check_before_start(home)
    return home


def _free(port: int, what: str, screen: _Screen) -> int:
    if port and not answers(port):
        return port
    another = free_port()
    if port:
        screen.say(f"port {port} is taken; the {what} is on port {another}")
    return another
