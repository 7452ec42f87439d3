"""Edge agents on this machine: simulated microscopes, or one that sends a folder of images."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hemaline_edge.spool.records import Slide
from hemaline_edge.spool.view import open_view
from hemaline_local.child import Child
from hemaline_local.services import Layout

SITE = "demo"


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
    """Return a microscope that captures each image of a folder once."""
    source = {"KIND": "folder", "PATH": str(folder.resolve()), "WATCH": "false"}
    if slide_column:
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

    def __init__(self, microscope: Microscope, layout: Layout) -> None:
        self.device = microscope.device
        self._spool = layout.home / "edge" / microscope.device
        self._log = layout.log(microscope.device)
        self._env = {
            "HEMALINE_SITE": SITE,
            "HEMALINE_DEVICE": microscope.device,
            "HEMALINE_BROKER__PORT": str(layout.broker_port),
            "HEMALINE_SPOOL__PATH": str(self._spool),
            "HEMALINE_TELEMETRY_S": "2",
            "HEMALINE_PUBLISHER__UPLOAD_HOSTS": '["127.0.0.1"]',
            **{f"HEMALINE_SOURCE__{name}": value for name, value in microscope.source.items()},
        }
        self._child = self._start()

    @property
    def drained(self) -> bool:
        """Whether the source is at its end and the cloud has answered for every frame."""
        return self._child.exit_status == 0

    def revive(self) -> bool:
        """Start the agent again if it died; its spool has kept what it had."""
        died = self._child.exit_status not in (None, 0)
        if died:
            self._child = self._start()
        return died

    def slides(self) -> list[Slide]:
        """Return the slides as the agent itself counts them, from its spool."""
        if not (self._spool / "index.sqlite3").exists():
            return []
        view = open_view(self._spool)
        try:
            return view.slides()
        finally:
            view.close()

    def stop(self) -> None:
        """End the agent in good order."""
        self._child.stop()

    def log_tail(self) -> str:
        """The end of its log."""
        return self._child.log_tail()

    def _start(self) -> Child:
        command = [sys.executable, "-m", "hemaline_edge", "run", "--until-drained"]
        return Child(self.device, command, self._log, self._env)


class Agents:
    """The agents of this machine; leaving the context stops them in good order."""

    def __init__(self, microscopes: Sequence[Microscope], layout: Layout) -> None:
        self._agents = [Agent(microscope, layout) for microscope in microscopes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for agent in self._agents:
            agent.stop()

    @property
    def drained(self) -> bool:
        """Whether all of them are."""
        return all(agent.drained for agent in self._agents)

    def revive(self) -> list[str]:
        """Start again the agents that died; return their names."""
        return [agent.device for agent in self._agents if agent.revive()]

    def slides(self) -> list[tuple[str, Slide]]:
        """Return each slide with its device's name."""
        return [(agent.device, slide) for agent in self._agents for slide in agent.slides()]

    def log_tail(self, device: str) -> str:
        """The end of a device's log."""
        return next(agent.log_tail() for agent in self._agents if agent.device == device)
