"""Free ports on this machine, and whether somebody answers on one."""

import fcntl
import os
import random
import socket
import tempfile
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

from hemaline_shared.errors import PermanentError

_LOOPBACK = "127.0.0.1"
# Below what systems hand to outgoing connections (Linux: from 32768), one of which could otherwise
# take the port before its server listens.
_PORTS = range(20000, 32768)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on.

    No other process of this user that asks gets it while this one lives: whoever asked may stop its
    server and start it on the same port again.

    Raises:
        PermanentError: `no-free-port`.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        if _held(port) and _nobody_listens(port):
            return port
    raise PermanentError("no-free-port", f"every port from {_PORTS[0]} to {_PORTS[-1]} is taken")


@cache  # a process is not refused its own lock, so each port is tried once
def _tried() -> set[int]:
    return set()


def _held(port: int) -> bool:
    if port in _tried():
        return False
    try:
        fcntl.lockf(_holds(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:  # another process holds it
        return False
    _tried().add(port)
    return True


@cache  # open while the process lives: closing it would end every hold
def _holds() -> int:
    file = Path(tempfile.gettempdir()) / f"hemaline-ports-{os.getuid()}"
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)


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
