"""A broker that a test can kill, wipe and start again on the same port."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hemaline_local.child import Child
from hemaline_local.ports import answers, free_port
from hemaline_shared.broker import BrokerSettings
from parts.waiting import LONG_S


class BrokerPart:
    """`command(folder, port)` makes the command line; `config_extra` is added to Mosquitto's."""

    def __init__(self, folder: Path, command: Callable[[Path, int, str], list[str]]) -> None:
        self.folder = folder
        self.config_extra = ""
        self.settings = BrokerSettings(port=free_port(), keepalive_s=5)
        self._command = command
        self._child: Child | None = None

    def start(self) -> None:
        port = self.settings.port
        command = self._command(self.folder, port, self.config_extra)
        self._child = Child("broker", command, self.folder / "broker.log")
        self._child.wait_ready(lambda: answers(port), timeout_s=LONG_S, port=port)

    def kill(self) -> None:
        assert self._child
        self._child.kill()

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def wipe(self) -> None:
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._child
        return self._child.pid
