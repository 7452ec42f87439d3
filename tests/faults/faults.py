"""What the campaign does to the parts: kills, full and failing disks, thin and dead lines."""

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from faults.system import Campground

_HOLD_S = 2.5
"""How long a disk stays full, or a line dead."""

EIO_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether the file lies below $EIO_BELOW, while the file $EIO_WHILE exists. */
static int fails(int fd) {
    const char *below = getenv("EIO_BELOW"), *flag = getenv("EIO_WHILE");
    char link[64], path[4096];
    ssize_t length;
    if (!below || !flag || access(flag, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, below, strlen(below)) == 0;
}

#define FAIL(fd) if (fails(fd)) { errno = EIO; return -1; }
#define REAL(name, type, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { FAIL(fd) return REAL(fsync, int, int)(fd); }
int fdatasync(int fd) { FAIL(fd) return REAL(fdatasync, int, int)(fd); }
ssize_t write(int fd, const void *data, size_t size) {
    FAIL(fd) return REAL(write, ssize_t, int, const void *, size_t)(fd, data, size);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    FAIL(fd) return REAL(pwrite64, ssize_t, int, const void *, size_t, off_t)(fd, data, size, at);
}
"""
"""A library for LD_PRELOAD: writing below a folder fails with EIO for as long as a file exists."""


def build_eio(folder: Path) -> Path | None:
    """Compile the library; None where there is no C compiler."""
    source, library = folder / "eio.c", folder / "eio.so"
    source.write_text(EIO_SOURCE)
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


class Faults:
    """Does one thing after another, by chance from a seed, and counts what it did."""

    def __init__(self, ground: Campground, seed: int, disks: "Disks") -> None:
        self._ground = ground
        self._disks = disks
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()
        kills: list[tuple[int, Callable[[], None]]] = [
            (30, self._kill_agent),
            (18, self._kill_ingest),
            (18, self._kill_worker),
            (14, self._kill_broker),
            (10, self._end_postgres),
        ]
        if ground.store_part:
            kills.append((10, self._kill_store))
        self._kills = kills
        self._troubles = [self._thin_line, self._frozen_line, self._cut_lines, self._dead_line]
        self._troubles += disks.troubles

    def kill_something(self) -> None:
        """Kill one part, and start the servers among them again."""
        weights, kills = zip(*self._kills, strict=True)
        with self._ground.supervisor.lock:
            self._random.choices(kills, weights)[0]()

    def make_trouble(self) -> None:
        """Let a disk or a line fail for some seconds."""
        trouble = self._random.choice(self._troubles)
        self.done[trouble.__name__.strip("_").replace("_", " ")] += 1
        trouble()

    def _kill_agent(self) -> None:
        running = [agent for agent in self._ground.agents if not agent.done]
        if not running:  # at the very end; a kill it shall be all the same
            self._kill_ingest()
            return
        self.done["kill edge agent"] += 1
        self._random.choice(running).kill()

    def _kill_ingest(self) -> None:
        self.done["kill ingest"] += 1
        self._ground.ingest.kill()

    def _kill_worker(self) -> None:
        self.done["kill worker"] += 1
        self._ground.infer.kill()

    def _kill_broker(self) -> None:
        broker = self._ground.broker
        broker.kill()
        if self._random.random() < 0.5:
            broker.wipe()
            self.done["kill and wipe broker"] += 1
        else:
            self.done["kill broker"] += 1
        broker.start()

    def _end_postgres(self) -> None:
        postgres = self._ground.postgres
        how = self._random.choice([signal.SIGQUIT, signal.SIGINT])
        self.done["crash PostgreSQL" if how is signal.SIGQUIT else "restart PostgreSQL"] += 1
        postgres.end_at_once(how)
        time.sleep(self._random.choice([0, 0, 2]))
        postgres.start()

    def _kill_store(self) -> None:
        part = self._ground.store_part
        assert part
        self.done["kill object store"] += 1
        part.kill()
        part.start()

    def _thin_line(self) -> None:
        line = self._random.choice(self._ground.agents).line
        line.bytes_per_s = 60_000
        threading.Timer(3 * _HOLD_S, lambda: setattr(line, "bytes_per_s", None)).start()

    def _frozen_line(self) -> None:
        line = self._random.choice(self._ground.agents).line
        line.frozen = True
        threading.Timer(3 * _HOLD_S, lambda: setattr(line, "frozen", False)).start()

    def _cut_lines(self) -> None:
        """As a lossy line does it, again and again."""
        for _ in range(5):
            for agent in self._ground.agents:
                if self._random.random() < 0.5:
                    agent.line.cut()
            time.sleep(0.2)

    def _dead_line(self) -> None:
        line = self._random.choice(self._ground.agents).line
        line.is_down = True
        line.cut()
        threading.Timer(_HOLD_S, lambda: setattr(line, "is_down", False)).start()


class Disks:
    """The disks of one spool and of the object store: full, or with errors, for some seconds."""

    def __init__(self, small: dict[str, Path], failing: dict[str, Path]) -> None:
        """Say which can be filled and which can fail.

        Args:
            small: Name -> a mount of a few hundred megabytes at most.
            failing: Name -> the file whose existence makes the disk fail.
        """
        self._small, self._failing = small, failing
        self.troubles: list[Callable[[], None]] = []
        for name, mount in small.items():
            self.troubles.append(_named(f"{name} full", lambda mount=mount: _fill(mount)))
        for name, flag in failing.items():
            self.troubles.append(_named(f"{name} answers EIO", lambda flag=flag: _fail(flag)))


def _named(name: str, trouble: Callable[[], None]) -> Callable[[], None]:
    trouble.__name__ = name
    return trouble


def _fill(mount: Path) -> None:
    ballast = mount / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass
    except OSError:
        time.sleep(_HOLD_S)
    finally:
        ballast.unlink(missing_ok=True)


def _fail(flag: Path) -> None:
    flag.touch()
    time.sleep(_HOLD_S)
    flag.unlink()
