"""The timer of base backups, in a Debian that really boots, with a stand-in for the engine."""

import shutil
from collections.abc import Iterator

import pytest

from conftest import missing
from parts.containers import REPOSITORY
from parts.folders import readable_folder
from parts.nspawn import Booted, missing_for_booting
from parts.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("booted")]

SERVICE, TIMER = "hemaline-backup.service", "hemaline-backup.timer"
CALLS = "/var/log/calls"
ENGINE = f"""#!/bin/sh
echo "$@" >>{CALLS}
[ ! -e /broken ]
"""
EACH_SECOND = """
[Timer]
OnCalendar=
OnCalendar=*:*:*
RandomizedDelaySec=0
AccuracySec=1s
"""
BASE = "exec hemaline_backup_1 hemaline-cloud backup base"
DISCARD = "exec hemaline_backup_1 hemaline-cloud backup discard --days 30"


@pytest.fixture
def machine() -> Iterator[Booted]:
    if reason := missing_for_booting():
        missing(reason)
    with readable_folder() as folder, readable_folder() as units:
        for unit in (SERVICE, TIMER):
            shutil.copy(REPOSITORY / "deploy" / "systemd" / unit, units)
        booted = Booted(folder, units)
        try:
            booted.start()
            booted.write("/usr/bin/podman", ENGINE)
            booted.run("chmod", "755", "/usr/bin/podman")
            booted.run("sh", "-c", "cp /packages/hemaline-backup.* /etc/systemd/system/")
            booted.run("systemctl", "daemon-reload")
            yield booted
        finally:
            booted.stop()


def calls(machine: Booted) -> list[str]:
    return machine.run("cat", CALLS, check=False).splitlines()


def test_each_night_a_base_backup_is_made_and_only_then_an_old_one_discarded(machine):
    for unit in (SERVICE, TIMER):
        assert machine.run("systemd-analyze", "verify", f"/etc/systemd/system/{unit}") == ""
    machine.run("systemctl", "enable", "--now", TIMER)
    assert " 02:" in machine.shown(TIMER, "NextElapseUSecRealtime")["NextElapseUSecRealtime"]
    machine.write(f"/etc/systemd/system/{TIMER}.d/sooner.conf", EACH_SECOND)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", TIMER)
    wait_until(lambda: calls(machine)[:3] == [BASE, DISCARD, BASE])
    machine.write("/broken", "")
    wait_until(lambda: machine.shown(SERVICE, "ActiveState")["ActiveState"] == "failed")
    before = calls(machine).count(DISCARD)
    began = calls(machine).count(BASE)
    wait_until(lambda: calls(machine).count(BASE) > began + 1)
    assert calls(machine).count(DISCARD) == before
