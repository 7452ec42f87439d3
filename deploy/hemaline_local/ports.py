"""Free ports on this machine, and whether somebody answers on one."""

import atexit
import random
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

from hemaline_shared.errors import PermanentError

_LOOPBACK = "127.0.0.1"
# Below what systems hand to outgoing connections (Linux: from 32768), one of which could otherwise
# take the port before its server listens.
_PORTS = range(20000, 32768)
_HOLDS = ExitStack()
"""Open while the process lives."""
atexit.register(_HOLDS.close)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on.

    No other process that asks gets it while this one lives: whoever asked may stop its server and
    start it on the same port again.

    Raises:
        PermanentError: `no-free-port`.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        if _nobody_listens(port) and _hold(port):
            return port
    raise PermanentError("no-free-port", f"every port from {_PORTS[0]} to {_PORTS[-1]} is taken")


def _hold(port: int) -> bool:
    """Hold a port by the UDP port of the same number, which is in no server's way."""
    hold = socket.socket(type=socket.SOCK_DGRAM)
    try:
        hold.bind((_LOOPBACK, port))
    except OSError:  # another process holds it, or this one
        hold.close()
        return False
    _HOLDS.enter_context(hold)
    return True


def _nobody_listens(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether a TCP connection to the loopback port is accepted."""
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


def http_ok(port: int, path: str) -> bool:
    """Whether the loopback port answers GET `path` with a 2xx status."""
    try:
        with urllib.request.urlopen(f"http://{_LOOPBACK}:{port}{path}", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
