"""The edge agent's Debian package, in a Debian that really boots; the tests go in this order."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from conftest import missing
from parts.folders import readable_folder
from parts.nspawn import Booted, missing_for_booting
from parts.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("booted")]

ROOT = Path(__file__).parents[2]
VERSION = version("hemaline")
NEWER = f"{VERSION}.1"
UNIT = "hemaline-edge.service"
SPOOL = "/var/lib/hemaline-edge"
SETTINGS = f"""
site = "lab"
device = "scope-1"
[source]
kind = "simulator"
slides = 1000
interval_s = 1.0
[spool]
path = "{SPOOL}"
disk_floor_bytes = 0
[broker]
host = "127.0.0.1"
"""
SOONER = """
[Service]
WatchdogSec=15
RestartSec=1
"""


@dataclass(frozen=True)
class Packages:
    """The package as it is built, and the same agent under a higher version."""

    folder: Path
    older: str
    newer: str


def raise_version(built: Path, folder: Path) -> None:
    """Write newer.deb: what was built, but the version that package and agent say."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", built, tree], check=True)
    [metadata] = tree.glob("opt/**/hemaline-*.dist-info/METADATA")
    for file in (tree / "DEBIAN" / "control", metadata):
        file.write_text(file.read_text().replace(f"Version: {VERSION}\n", f"Version: {NEWER}\n"))
    subprocess.run(
        ["dpkg-deb", "-Znone", "--build", tree, folder / "newer.deb"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(tree)


@pytest.fixture(scope="module")
def packages() -> Iterator[Packages]:
    if reason := missing_for_booting():
        missing(reason)
    with readable_folder() as folder:
        subprocess.run(["make", "--silent", "deb", "ARGS="], cwd=ROOT, check=True)
        [built] = (ROOT / "dist").glob(f"hemaline-edge_{VERSION}_*.deb")
        shutil.copy(built, folder / "older.deb")
        raise_version(built, folder)
        yield Packages(folder, "/packages/older.deb", "/packages/newer.deb")


@pytest.fixture(scope="module")
def machine(packages: Packages) -> Iterator[Booted]:
    """A booted Debian with a broker, and without the package."""
    with readable_folder() as folder:
        booted = Booted(folder, packages.folder)
        try:
            booted.start()
            booted.run("systemctl", "start", "mosquitto.service")
            yield booted
        finally:
            booted.stop()


@pytest.fixture(scope="module")
def said_at_install(machine: Booted, packages: Packages) -> str:
    return machine.run("dpkg", "-i", packages.older)


@pytest.fixture(scope="module")
def configured(machine: Booted, said_at_install: str) -> Booted:
    """The package installed, its agent started with a simulated camera."""
    machine.write("/etc/hemaline/edge.toml", SETTINGS)
    machine.run("chgrp", "hemaline-edge", "/etc/hemaline/edge.toml")
    machine.run("chmod", "640", "/etc/hemaline/edge.toml")
    machine.run("systemctl", "start", UNIT)
    return machine


def state(machine: Booted) -> str:
    return machine.shown(UNIT, "ActiveState")["ActiveState"]


def main_pid(machine: Booted) -> str:
    return machine.shown(UNIT, "MainPID")["MainPID"]


def captured(machine: Booted) -> int:
    """Frames in the life of the device, as its spool counts them."""
    command = "hemaline-edge spool --json --config /etc/hemaline/edge.toml"
    text = machine.run("runuser", "-u", "hemaline-edge", "--", *command.split())
    return int(json.loads(text)["counts"]["captured"])


def test_an_agent_without_settings_is_not_started(machine, said_at_install):
    assert "has no settings yet" in said_at_install
    assert state(machine) == "inactive"
    machine.run("systemctl", "start", UNIT)
    assert state(machine) == "inactive"


def test_systemd_has_nothing_to_say_against_the_unit(machine, said_at_install):
    assert machine.run("systemd-analyze", "verify", f"/lib/systemd/system/{UNIT}") == ""


def test_a_frame_arrives_at_the_broker(configured):
    assert state(configured) == "active"
    topic = "hemaline/v1/lab/scope-1/field"
    heard = configured.run(
        *f"mosquitto_sub -h 127.0.0.1 -t {topic} -C 1 -W 240 -F".split(), "%t %l"
    )
    assert re.fullmatch(rf"{topic} \d{{4,}}", heard.strip())


def test_it_runs_as_a_user_of_its_own_with_no_capability(configured):
    status = configured.run("cat", f"/proc/{main_pid(configured)}/status")
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert configured.run("stat", "-c", "%U %a", SPOOL).split() == ["hemaline-edge", "700"]


def test_an_agent_that_stands_still_is_started_again_and_goes_on(configured):
    configured.write(f"/etc/systemd/system/{UNIT}.d/sooner.conf", SOONER)
    configured.run("systemctl", "daemon-reload")
    configured.run("systemctl", "restart", UNIT)
    before, frames = main_pid(configured), captured(configured)
    configured.run("sh", "-c", f"kill -STOP {before}")
    wait_until(lambda: state(configured) == "active" and main_pid(configured) not in {before, "0"})
    assert "Watchdog timeout" in configured.run("journalctl", "-u", UNIT, "--no-pager")
    wait_until(lambda: captured(configured) > frames)
    configured.run("systemctl", "revert", UNIT)


def test_it_stops_in_good_order(configured):
    configured.run("systemctl", "restart", UNIT)
    configured.run("systemctl", "stop", UNIT)
    shown = configured.shown(UNIT, "Result", "ExecMainStatus", "ActiveState")
    assert shown == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"}
    journal = configured.run("journalctl", "-u", UNIT, "--no-pager", "-n", "20")
    assert "wait in the spool for the next start" in journal
    configured.run("systemctl", "start", UNIT)


@pytest.mark.parametrize("wanted", [NEWER, VERSION], ids=["upgrade", "downgrade"])
def test_another_version_goes_on_with_the_spool(configured, packages, wanted):
    frames, before = captured(configured), main_pid(configured)
    assert frames
    configured.run("dpkg", "-i", packages.newer if wanted == NEWER else packages.older)
    assert configured.run("hemaline-edge", "--version").split() == ["hemaline-edge", wanted]
    assert state(configured) == "active"
    assert main_pid(configured) != before
    wait_until(lambda: captured(configured) > frames)


def test_a_disabled_agent_stays_disabled_through_an_upgrade(configured, packages):
    configured.run("systemctl", "disable", "--now", UNIT)
    configured.run("dpkg", "-i", packages.newer)
    assert state(configured) == "inactive"
    assert configured.run("systemctl", "is-enabled", UNIT, check=False).strip() == "disabled"
    configured.run("systemctl", "enable", "--now", UNIT)


def test_settings_that_are_wrong_are_told_and_not_tried_again(configured):
    configured.write("/etc/hemaline/edge.toml", SETTINGS.replace("scope-1", "Scope 1"))
    configured.run("systemctl", "restart", UNIT, check=False)
    wait_until(lambda: state(configured) == "failed")
    assert configured.shown(UNIT, "NRestarts") == {"NRestarts": "0"}
    assert "write it in small letters" in configured.run("journalctl", "-u", UNIT, "--no-pager")
    configured.write("/etc/hemaline/edge.toml", SETTINGS)
    configured.run("systemctl", "restart", UNIT)


def test_a_purge_leaves_the_spool_and_says_how_to_delete_it(configured):
    said = configured.run("dpkg", "--purge", "hemaline-edge")
    assert state(configured) == "inactive"
    assert not configured.exists("/opt/hemaline-edge")
    assert not configured.exists("/etc/hemaline")
    assert not configured.exists(f"/etc/systemd/system/multi-user.target.wants/{UNIT}")
    assert configured.exists(f"{SPOOL}/index.sqlite3")
    assert configured.run("stat", "-c", "%U", SPOOL).strip() == "hemaline-edge"
    [command] = set(re.findall(r"rm -r /\S+$", said, re.MULTILINE))  # dpkg removes, then purges
    configured.run(*command.split())
    assert not configured.exists(SPOOL)
