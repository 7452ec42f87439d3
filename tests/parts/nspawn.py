"""A whole Debian with its own systemd, booted from a folder by systemd-nspawn."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from parts.waiting import LONG_S, wait_until

_PACKAGES = (
    "systemd,systemd-sysv,dbus,ca-certificates,python3,mosquitto,mosquitto-clients"  # and no more
)


def missing_for_booting() -> str | None:
    """Say what this machine lacks to boot a Debian, or None."""
    lacks = [tool for tool in ("systemd-nspawn", "debootstrap", "nsenter") if not _found(tool)]
    if lacks:
        return f"{', '.join(lacks)} is not installed"
    return None if os.geteuid() == 0 else "a Debian is booted by root alone"


def base_system() -> Path:
    """Return the folder of a fresh Debian with Mosquitto, made once a machine by debootstrap."""
    cache = Path(os.environ.get("HEMALINE_TEST_CACHE", Path.home() / ".cache" / "hemaline-test"))
    base = cache / "booting-root"
    if base.is_dir():
        return base
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f"booting-root.{os.getpid()}"
    address, release = _apts_archive()
    subprocess.run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={_PACKAGES}",
            release,
            unfinished,
            address,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    unfinished.rename(base)
    return base


class Booted:
    """A copy of the base system, running; its network is its own loopback."""

    def __init__(self, folder: Path, packages: Path) -> None:
        """`packages` is seen inside as /packages."""
        self._name = f"hemaline-test-{os.getpid()}"
        self._root = folder / "root"
        self._packages = packages
        self._console = folder / "console.log"
        self._leader = 0
        self._nspawn: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when its systemd has reached its default target."""
        subprocess.run(["cp", "--archive", base_system(), self._root], check=True)  # devices, too
        # As ADR 4 has it: a test that is killed leaves no Debian running.
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--private-network",
        ]
        command += ["--link-journal=no", "--console=pipe", f"--machine={self._name}", "--boot"]
        command += [f"--directory={self._root}", f"--bind-ro={self._packages}:/packages"]
        with self._console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
        wait_until(self._is_up)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside, as root; return what it said on both channels."""
        done = subprocess.run(
            [
                "nsenter",
                f"--target={self._leader}",
                "--all",
                "env",
                "-i",
                "PATH=/usr/sbin:/usr/bin",
                *command,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONG_S,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}: {text}"
        return text

    def shown(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit, as `systemctl show` tells them."""
        text = self.run("systemctl", "show", unit, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        file = self._root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def exists(self, path: str) -> bool:
        """Whether a file or folder lies inside, under its own name."""
        return os.path.lexists(self._root / path.lstrip("/"))

    def stop(self) -> None:
        """Switch it off, in order if it can, and remove its files."""
        if self._nspawn:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        for left in (self._root, Path("/run/systemd/nspawn/propagate", self._name)):
            shutil.rmtree(left, ignore_errors=True)

    def _is_up(self) -> bool:
        assert self._nspawn
        assert self._nspawn.poll() is None, self._console.read_text(errors="replace")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text()
        if not children:
            return False
        self._leader = int(children.split()[0])
        state = self.run("systemctl", "is-system-running", check=False).strip()
        return state in {"running", "degraded"}


def _found(tool: str) -> bool:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def _apts_archive() -> tuple[str, str]:
    """Return the address and release from which this machine's own apt installs."""
    form = "$(REPO_URI) $(RELEASE)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    address, release = lines[0].split()
    return address, release
