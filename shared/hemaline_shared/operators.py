"""Who uses a command."""

import getpass
import socket


def operator_name() -> str:
    """Return who uses a command, as the machine knows them: `user@host`."""
    try:
        user = getpass.getuser()
    except OSError:  # a container whose user has no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
