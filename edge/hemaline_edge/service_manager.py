"""Telling systemd that the agent is ready, still turning, or ending: sd_notify(3), by ourselves."""

import logging
import os
import socket
import time
from collections.abc import Mapping

logger = logging.getLogger(__name__)

_SEND_S = 1.0
"""So long a full socket may hold up the agent; systemd empties it at once."""


class ServiceManager:
    """Sends datagrams to the socket that systemd names; without one, every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID means this process."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._alive_every_s = _watchdog_s(environment) / 2
        self._next_alive = 0.0

    def ready(self) -> None:
        """Tell that the start is done."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Tell that the caller's loop turned; at most twice in the watchdog's time."""
        now = time.monotonic()
        if self._alive_every_s and now >= self._next_alive:
            self._next_alive = now + self._alive_every_s
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # Linux' abstract sockets, as sd_notify(3) writes them
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto(state.encode(), address)
        except OSError as error:
            logger.warning("systemd was not told %s: %s", state, error)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Return within how many seconds systemd wants a sign of life; 0 where it wants none."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() else 0.0
