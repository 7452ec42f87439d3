"""Podman and buildah as the tests use them: an own configuration, a Debian base, cached wheels."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = "localhost/hemaline-test-base"
TOOLS = ("podman", "buildah", "runc", "debootstrap", "netavark", "aardvark-dns")
_STAND_INS = "localhost/hemaline-test-stand-ins"
_STAND_IN_FILES = ("stand_ins.Containerfile", "stand_in_postgres.sh")
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


def cache_folder() -> Path:
    """Where downloads and the base stay between runs: HEMALINE_TEST_CACHE, else the user's."""
    named = os.environ.get("HEMALINE_TEST_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "hemaline-test"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def why_not() -> str | None:
    """Say what keeps this machine from running containers."""
    beside = ["/usr/lib/podman", "/usr/sbin", os.environ.get("PATH", "")]
    if absent := [tool for tool in TOOLS if not shutil.which(tool, path=":".join(beside))]:
        return f"these are not installed: {', '.join(absent)}"
    return None if os.geteuid() == 0 else "debootstrap and these containers want root"


class Engine:
    """Commands of a container engine whose configuration is the tests' own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        configuration = folder / "containers.conf"
        configuration.write_text(_CONFIGURATION)
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(configuration),
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess:
        """Run a command to its end; `more` are variables. A failure shows what was printed."""
        ended = subprocess.run(
            command,
            env=self.environment | more,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and ended.returncode:
            raise AssertionError(f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended

    def has_image(self, name: str) -> bool:
        return self.run("podman", "image", "exists", name, check=False).returncode == 0

    def make_base(self) -> None:
        """Make a Debian base with debootstrap, from the sources that this machine's apt has."""
        if self.has_image(BASE):
            return
        root = self.folder / "base"
        shutil.rmtree(root, ignore_errors=True)
        self.run("debootstrap", "--variant=minbase", "bookworm", str(root), _mirror(self))
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        for place in ("sources.list", "sources.list.d/debian.sources"):
            source = Path("/etc/apt") / place
            if source.is_file():
                shutil.copy(source, root / "etc/apt" / place)
        settings = self.run("apt-config", "dump").stdout.splitlines()
        acquire = [line for line in settings if line.startswith("Acquire::") and '""' not in line]
        (root / "etc/apt/apt.conf.d/99acquire").write_text("\n".join(acquire) + "\n")
        for kept in (root / "var/cache/apt/archives").glob("*.deb"):
            kept.unlink()
        archive = self.folder / "base.tar"
        self.run("tar", "-C", str(root), "-cf", str(archive), ".")
        self.run("podman", "import", "-q", str(archive), BASE)
        archive.unlink()
        shutil.rmtree(root)

    def download_wheels(self, *parts: str) -> Path:
        """Fetch what the parts are pinned to, by this machine's own pip and its settings."""
        wheels = self.folder / "wheels"
        for part in (*parts, "build"):
            pinned = (REPOSITORY / "requirements" / f"{part}.txt").read_text()
            done = self.folder / f"{part}.downloaded"
            if done.is_file() and done.read_text() == pinned:
                continue
            command = [
                _python(),
                "-m",
                "pip",
                "download",
                "-q",
                "--require-hashes",
                "-d",
                str(wheels),
            ]
            command += ["--only-binary=:all:", "--python-version=3.11", "-r"]
            self.run(*command, f"requirements/{part}.txt")
            done.write_text(pinned)
        return wheels

    def build(self, part: str) -> str:
        """Build the image of edge or cloud, from its first step that changed; return its name."""
        self.make_base()
        name = f"localhost/hemaline-test-{part}"
        command = ["buildah", "bud", "-q", "--layers", "--build-arg", f"BASE={BASE}"]
        command += ["--build-arg", "PIP_NO_INDEX=1", "-t", name]
        command += ["--volume", f"{self.download_wheels(part)}:/wheels:ro"]
        self.run(*command, "-f", f"deploy/images/{part}.Containerfile", ".")
        return name

    def build_backup(self, cloud: str, postgres: str) -> str:
        """Build the image of `backup` from ours and that of the database; return its name."""
        name = "localhost/hemaline-test-backup"
        command = ["buildah", "bud", "-q", "--layers", "--build-arg", f"POSTGRES={postgres}"]
        command += ["--build-arg", f"CLOUD={cloud}", "-t", name]
        self.run(*command, "-f", "deploy/images/backup.Containerfile", ".")
        return name

    def build_stand_ins(self) -> str:
        """Build the servers of compose.yaml from Debian's packages; return the image's name."""
        sources = [REPOSITORY / "tests" / "deploy" / file for file in _STAND_IN_FILES]
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
        name = f"{_STAND_INS}:{digest[:12]}"
        if self.has_image(name):
            return name
        self.make_base()
        context = self.folder / "stand-ins"
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir()
        for file in (*sources, Path(sys.executable).with_name("weed").resolve()):
            shutil.copy(file, context)
        (context / "sockets").mkdir()
        (context / "sockets" / "here").touch()
        command = ["buildah", "bud", "-q", "--layers", "--build-arg", f"BASE={BASE}"]
        command += ["-t", name, "-f", f"{context}/stand_ins.Containerfile", str(context)]
        self.run(*command)
        return name


def _python() -> str:
    """A Python that has pip; the environment that the tests run in may have none."""
    outside = Path(sys.base_prefix) / "bin" / "python3"
    return str(outside) if outside.exists() else "python3"


def _mirror(engine: Engine) -> str:
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    return engine.run(*targets).stdout.splitlines()[0]
