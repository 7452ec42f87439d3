"""Listening on a port, with a sentence where that is not possible."""

import errno
import os
import socket

from hemaline_shared.errors import PermanentError


def listen(host: str, port: int, *, what: str, setting: str) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Args:
        host: An address or name of this machine; `0.0.0.0` or `::` for all of them.
        port: 0 to 65535; more is counted from 0 again, so settings have that bound.
        what: Who listens, for the sentence.
        setting: The beginning of the two variables that say where, such as `HEMALINE_HEALTH__`.

    Raises:
        PermanentError: `cannot-listen`.
    """
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        advice = _advice(error, setting)
        raise PermanentError(
            "cannot-listen", f"{what} cannot listen on {host}, port {port}: {advice}"
        ) from error
    return listener


def _advice(error: OSError, setting: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"that is no address of this machine; set {setting}HOST to one"
    number = error.errno
    if number == errno.EADDRINUSE:
        return f"another program listens there; set {setting}PORT to another port"
    if number == errno.EADDRNOTAVAIL:
        return f"this machine has no such address; set {setting}HOST to one that it has"
    if number == errno.EACCES:
        return f"ports below 1024 are for root; set {setting}PORT to a higher one"
    return os.strerror(number) if number else str(error)
