"""Free ports on this machine, and whether somebody answers on one."""

import socket
import urllib.error
import urllib.request

_LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind((_LOOPBACK, 0))
        return int(listener.getsockname()[1])


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
