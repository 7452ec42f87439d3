"""What a device does for each command, on the parts of the agent that do it for the page, too."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol
from uuid import UUID

from hemaline_edge.device_commands.log_lines import LogLines
from hemaline_edge.spool.kept import open_kept
from hemaline_edge.spool.records import Contents, Priority, Slide
from hemaline_shared.device_commands import (
    Arguments,
    Command,
    Decommission,
    NameSlide,
    StartSlide,
)
from hemaline_shared.errors import PermanentError


class Ending(Enum):
    """What comes after the end of a run."""

    NOTHING = auto()
    NEW_START = auto()


@dataclass(frozen=True, slots=True)
class Done:
    """A command is at its end; `detail` says in a few words what became of it."""

    detail: str | None = None


class Device(Protocol):
    """What `Commanding` needs."""

    def slide_of(self, command: Command) -> UUID | None:
        """Return which slide a command is of, as things are now.

        Raises:
            PermanentError: `no-such-slide`.
        """

    def do(
        self, command: Command, arguments: Arguments, slide_id: UUID | None, *, again: bool
    ) -> Done | None:
        """Do it; None: its end comes later.

        Args:
            command: Which.
            arguments: What was said with it.
            slide_id: What `slide_of` returned when it was begun.
            again: An earlier run may have done it, all or in part.

        Raises:
            PermanentError: It cannot be done; nothing has changed.
            TransientError: It could not be done now.
        """

    def log_lines(self) -> tuple[str, ...]:
        """Return the last lines of the log."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the agent lends.

    Attributes:
        spool: Its directory.
        contents: What waits there.
        read_name: Reads a slide's code as the page does; raises as `PageState.read_name`.
        started_slide: Which slide a person, or a command, has started.
        start_slide: Starts one; raises as `Capturing.start_slide`.
        end_slide: Ends one; raises as `Spool.end_slide`.
        name_slide: Gives the started slide another name; raises as `Spool.name_slide`.
        flush: Sends what waits at once.
        end: Ends the run; what comes then.
        log: The last lines.
    """

    spool: Path
    contents: Callable[[], Contents]
    read_name: Callable[[str], str]
    started_slide: Callable[[], Slide | None]
    start_slide: Callable[[str, Priority], Slide]
    end_slide: Callable[[UUID], None]
    name_slide: Callable[[UUID, str], None]
    flush: Callable[[], None]
    end: Callable[[Ending], None]
    log: LogLines


class CommandedDevice:
    """`Device` of a running agent."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def slide_of(self, command: Command) -> UUID | None:
        """As `Device`."""
        if command.verb not in {"end-slide", "name-slide"}:
            return None
        slide = self._parts.started_slide()
        if slide is None:
            raise PermanentError("no-such-slide", "No slide is started at this device.")
        return slide.slide_id

    def do(
        self, command: Command, arguments: Arguments, slide_id: UUID | None, *, again: bool
    ) -> Done | None:
        """As `Device`."""
        match arguments:
            case StartSlide():
                return self._start_slide(arguments, again=again)
            case NameSlide():
                assert slide_id
                name = self._parts.read_name(arguments.slide_name)
                self._parts.name_slide(slide_id, name)
                return Done()
            case Decommission():
                self._decommission(arguments)
                return None
        if command.verb == "end-slide":
            assert slide_id
            return self._end_slide(slide_id, again=again)
        return self._attend(command, again=again)

    def _attend(self, command: Command, *, again: bool) -> Done | None:
        """Do what concerns no slide."""
        match command.verb:
            case "flush":
                self._parts.flush()
                return Done(f"{self._parts.contents().messages} messages waited to be sent")
            case "collect-logs":
                return Done(f"{len(self.log_lines())} lines since the agent was started")
            case "discard-kept":
                return self._discard_kept(command)
            case "restart" if again:
                return Done("the agent has started anew")
            case "restart":
                self._parts.end(Ending.NEW_START)
                return None
        raise PermanentError("unknown-command", f"{command.verb}: there is no such command here")

    def log_lines(self) -> tuple[str, ...]:
        """As `Device`."""
        return self._parts.log.lines()

    def _start_slide(self, asked: StartSlide, *, again: bool) -> Done:
        """Start it; an earlier run that was killed may have done so."""
        name, open_now = self._parts.read_name(asked.slide_name), self._parts.started_slide()
        if not (again and open_now and open_now.label == name):
            self._parts.start_slide(name, "stat" if asked.urgent else "routine")
        return Done()

    def _end_slide(self, slide_id: UUID, *, again: bool) -> Done:
        try:
            self._parts.end_slide(slide_id)
        except PermanentError:
            if not again:
                raise
        return Done()

    def _discard_kept(self, command: Command) -> Done:
        why = f"command {command.command_id}"
        with open_kept(self._parts.spool) as kept:
            files = kept.files()
            for file in files:
                kept.discard(command.asked_by, file.message_id, why)
        return Done(f"the images of {len(files)} quarantined frames are deleted")

    def _decommission(self, asked: Decommission) -> None:
        """Let the run end: the device is emptied at the new start, before an agent runs."""
        waiting = self._parts.contents().messages
        if waiting and not asked.discard_waiting:
            raise PermanentError(
                "messages-wait",
                f"{waiting} messages wait here for the cloud: let them be sent, or ask with "
                "discard_waiting, and they are lost",
            )
        self._parts.end(Ending.NEW_START)
