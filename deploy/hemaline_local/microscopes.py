"""Edge agents on this machine: simulated microscopes, or one that sends a folder of images."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hemaline_edge.capture.listing import FolderListing
from hemaline_edge.capture.manifest import SlideLabels
from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.records import Slide
from hemaline_edge.spool.view import open_view
from hemaline_local.child import Child, stop_all
from hemaline_local.services import Layout, foreign_variables
from hemaline_shared.commands import CANNOT_START
from hemaline_shared.errors import PermanentError

SITE = "demo"
_STOPS_S = 1.5
"""Its spool has what it captured; a frame in the making is made again."""


@dataclass(frozen=True, slots=True)
class Microscope:
    """One edge agent's name and source settings."""

    device: str
    source: Mapping[str, str]


def simulated(count: int, slides: int, fields: int) -> list[Microscope]:
    """Return microscopes whose smears are drawn; each has smears of its own."""
    return [
        Microscope(
            f"scope-{number}",
            {
                "KIND": "simulator",
                "SEED": str(number),
                "SLIDES": str(slides),
                "FIELDS": str(fields),
            },
        )
        for number in range(1, count + 1)
    ]


def from_images(folder: Path, slide_column: str | None) -> Microscope:
    """Return a microscope that captures each image of a folder once.

    Raises:
        PermanentError: The column cannot be used, or the folder holds nothing that may be an image
            (`no-images`); better told now than by an agent.
        TransientError: The folder cannot be read.
    """
    if not FolderListing(folder.resolve()).sweep():
        raise PermanentError("no-images", f"{folder} holds no file that may be an image")
    source = {"KIND": "folder", "PATH": str(folder.resolve()), "WATCH": "false"}
    if slide_column:
        SlideLabels(folder.resolve(), slide_column)
        source["SLIDE_COLUMN"] = slide_column
    return Microscope("images", source)


def endless(count: int) -> list[Microscope]:
    """Return simulated microscopes that go on until they are stopped."""
    pace = {"INTERVAL_S": "3"}
    return [
        Microscope(each.device, {**each.source, **pace}) for each in simulated(count, 1_000_000, 20)
    ]


class Agent:
    """A running edge agent; it ends by itself when all it had is receipted."""

    def __init__(
        self, microscope: Microscope, layout: Layout, inherited: Sequence[int] = ()
    ) -> None:
        self._inherited = inherited
        self.device = microscope.device
        self._spool = layout.home / "edge" / microscope.device
        self._log = layout.log(microscope.device)
        self._env = {
            "HEMALINE_SITE": SITE,
            "HEMALINE_DEVICE": microscope.device,
            "HEMALINE_BROKER__PORT": str(layout.broker_port),
            "HEMALINE_SPOOL__PATH": str(self._spool),
            "HEMALINE_TELEMETRY_S": "2",
            "HEMALINE_SEND_SLIDE_NAMES": "true",  # nothing leaves this machine
            "HEMALINE_PUBLISHER__UPLOAD_HOSTS": '["127.0.0.1"]',
            **{f"HEMALINE_SOURCE__{name}": value for name, value in microscope.source.items()},
        }
        self._child = self._start()

    @property
    def drained(self) -> bool:
        """Whether the source is at its end and the cloud has answered for every frame."""
        return self._child.exit_status == 0

    def revive(self) -> bool:
        """Start the agent again if it died; its spool has kept what it had.

        Raises:
            PermanentError: `agent-refuses`; it cannot work as it is set, and said why.
        """
        status = self._child.exit_status
        if status == CANNOT_START:
            lines = self.child.log_tail().splitlines()
            reason = lines[-1].removeprefix("✗").strip() if lines else "it did not say why"
            raise PermanentError("agent-refuses", f"{self.device} cannot run: {reason}")
        if status in (None, 0):
            return False
        self._child = self._start()
        return True

    @property
    def child(self) -> Child:
        """Its process."""
        return self._child

    def slides(self) -> list[Slide]:
        """Return the slides as the agent itself counts them, from its spool."""
        if not (self._spool / "index.sqlite3").exists():
            return []
        view = open_view(self._spool)
        try:
            return view.slides()
        finally:
            view.close()

    def log_tail(self) -> str:
        """The end of its log."""
        return self._child.log_tail()

    def _start(self) -> Child:
        command = [sys.executable, "-m", "hemaline_edge", "run", "--until-drained"]
        return Child(
            self.device,
            command,
            self._log,
            self._env,
            unset=foreign_variables(EdgeSettings),
            inherited=self._inherited,
        )


class Agents:
    """The agents of this machine; leaving the context stops them in good order.

    As with `OneMachine`, all of it happens in one thread.
    """

    def __init__(
        self, microscopes: Sequence[Microscope], layout: Layout, inherited: Sequence[int] = ()
    ) -> None:
        """Start them; `inherited` are open files that they keep open, such as the home's lock."""
        self._agents: list[Agent] = []
        self._grace_s = 0.0 if layout.throwaway else _STOPS_S
        try:
            for microscope in microscopes:
                self._agents.append(Agent(microscope, layout, inherited))
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of them."""
        stop_all([agent.child for agent in self._agents], self._grace_s)

    @property
    def drained(self) -> bool:
        """Whether all of them are."""
        return all(agent.drained for agent in self._agents)

    def revive(self) -> list[str]:
        """Start again the agents that died; return their names; raises as `Agent.revive`."""
        return [agent.device for agent in self._agents if agent.revive()]

    def slides(self) -> list[tuple[str, Slide]]:
        """Return each slide with its device's name."""
        return [(agent.device, slide) for agent in self._agents for slide in agent.slides()]

    def log_tail(self, device: str) -> str:
        """The end of a device's log."""
        return next(agent.log_tail() for agent in self._agents if agent.device == device)
