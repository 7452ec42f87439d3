"""Telling systemd what the agent does: that it runs, that it makes progress, that it ends."""

import faulthandler
import logging
import math
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)

_SEND_TIMEOUT_S = 5.0


class Supervisor:
    """Whoever started the agent and wants to hear of it; where nobody does, nothing is told.

    What is told are datagrams to the socket that `NOTIFY_SOCKET` names, as sd_notify(3) says.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval_s = _watchdog_s(environment) / 2 if self._address else math.inf
        self._next = 0.0
        if self.watches:
            faulthandler.enable()  # its SIGABRT then writes what each thread was doing

    @property
    def watches(self) -> bool:
        """Whether it ends an agent of which it hears nothing."""
        return self._interval_s < math.inf

    def is_due(self, now: float) -> bool:
        """Whether it should hear, at this `time.monotonic()`, that the agent makes progress."""
        return self.watches and now >= self._next

    def ready(self) -> None:
        """Tell that the agent runs."""
        self._tell("READY=1")

    def alive(self, now: float) -> None:
        """Tell that the agent makes progress."""
        self._next = now + self._interval_s
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Tell that the agent ends of its own will."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # An @ stands for the zero byte with which names begin that are in no file system.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_TIMEOUT_S)
                sender.sendto(message.encode(), address)
        except OSError as error:
            logger.warning("systemd was not told %s: %s", message, error)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Return after how long a silent agent is ended, in seconds; infinity where it is not."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    somebody_else = environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid())
    if not microseconds.isdecimal() or int(microseconds) == 0 or somebody_else:
        return math.inf
    return int(microseconds) / 1e6
