"""The directory of one system: found, checked, held by one runner alone, and cleared away."""

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hemaline_edge.capture.names import readable
from hemaline_local.child import StoppedError
from hemaline_shared.errors import PermanentError

_LOCK = "lock"
_LEFTOVERS_S = 20.0
_POLL_S = 0.1
_DEMO = "hemaline-demo-"


def default_home() -> Path:
    """Where `hemaline up` keeps its data for the next time.

    Raises:
        PermanentError: `no-home`.
    """
    try:
        return Path.home() / ".local" / "share" / "hemaline"
    except RuntimeError as error:  # no HOME, and no entry in the list of users
        raise PermanentError(
            "no-home", "this user has no home directory: name a place for the data with --home"
        ) from error


def usable_home(home: Path) -> Path:
    """Return a home by its real path: parts that know it by another name would not find each other.

    Raises:
        PermanentError: `home-unusable`.
    """
    try:
        real = home.resolve()
        text = os.fsencode(real).decode()
    except (OSError, RuntimeError) as error:  # links that end nowhere
        raise PermanentError(
            "home-unusable", f"{home} cannot be found ({error}): name another directory with --home"
        ) from error
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        raise PermanentError(
            "home-unusable",
            f"{readable(str(home))} has line breaks, or bytes that are no text, in its name, which "
            "the database and the broker do not take: name another directory with --home",
        )
    return real


class HomeLock:
    """Holds a home: the runner and each of its children have its file open.

    So a second system is refused while one runs, and while what a killed runner left behind still
    ends; that is waited for.
    """

    def __init__(self, home: Path, say: Callable[[str], None], stopping: threading.Event) -> None:
        """Make the home where there is none, and hold it.

        Raises:
            PermanentError: `home-unusable` or `home-in-use`.
            StoppedError: `stopping` was set.
        """
        try:
            home.mkdir(parents=True, exist_ok=True)
            self.handle = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PermanentError(
                "home-unusable",
                f"{home} cannot be used ({error.strerror}): name another directory with --home",
            ) from error
        try:
            self._hold(home, say, stopping)
            os.ftruncate(self.handle, 0)
            os.pwrite(self.handle, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self.handle)
            raise

    def release(self) -> None:
        """Let it go; the last process that has it open lets it go anyway."""
        os.close(self.handle)

    def _hold(self, home: Path, say: Callable[[str], None], stopping: threading.Event) -> None:
        deadline = time.monotonic() + _LEFTOVERS_S
        told = False
        while not _locked(self.handle):
            runner = _runner(self.handle)
            if runner is not None or time.monotonic() > deadline:
                who = f" (process {runner})" if runner else ""
                raise PermanentError(
                    "home-in-use",
                    f"another hemaline{who} uses {home}: stop it first, or give this one a "
                    "directory of its own with --home",
                )
            if not told:
                say("waiting for the processes of an earlier run to end")
                told = True
            if stopping.wait(_POLL_S):
                raise StoppedError


@contextmanager
def demo_home(kept: Path | None) -> Iterator[tuple[Path, Path]]:
    """Give a demo its home and the folder of its logs.

    Without `kept` both are gone at the end, but the logs stay where it failed: a sentence that
    names a log is of no use when the log is gone.

    Raises:
        PermanentError: `home-unusable`.
    """
    if kept:
        yield kept, kept / "logs"
        return
    sweep_demos()
    try:
        home = usable_home(Path(tempfile.mkdtemp(prefix=_DEMO)))
        logs = _logs_folder() / home.name
    except OSError as error:
        raise PermanentError(
            "home-unusable", f"no temporary directory can be made ({error}): use --home"
        ) from error
    try:
        yield home, logs
    except (StoppedError, KeyboardInterrupt):
        shutil.rmtree(logs, ignore_errors=True)
        raise
    else:
        shutil.rmtree(logs, ignore_errors=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _logs_folder() -> Path:
    """Where logs of demos that failed stay; beside the homes where this user has no own place."""
    named = os.environ.get("XDG_STATE_HOME")
    try:
        state = Path(named) if named else Path.home() / ".local" / "state"
    except RuntimeError:
        state = Path(tempfile.gettempdir())
    return state / "hemaline"


def sweep_demos() -> None:
    """Remove the homes of demos that nobody runs any more."""
    for home in Path(tempfile.gettempdir()).glob(f"{_DEMO}*"):
        try:
            if home.is_symlink() or home.stat().st_uid != os.getuid():
                continue
            handle = os.open(home / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # somebody else's, or one that is just being made
            continue
        try:
            if _locked(handle):
                shutil.rmtree(home, ignore_errors=True)
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runner(handle: int) -> int | None:
    """Return the process id of the runner that holds a lock, if it runs."""
    text = os.pread(handle, 20, 0).decode(errors="replace").strip()
    if not text.isdigit():
        return None
    return int(text) if Path(f"/proc/{text}").exists() else None
