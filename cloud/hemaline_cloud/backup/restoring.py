"""Restoring: a data directory that PostgreSQL brings to a moment at its next start, and objects."""

import os
import pwd
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hemaline_cloud.backup.copying import Copied, copy_back
from hemaline_cloud.backup.folder import BackupFolder, BaseBackup
from hemaline_cloud.backup.wal import segments_from
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import RestoreSettings
from hemaline_shared.errors import PermanentError

_CONTROL = Path("global") / "pg_control"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    base: BaseBackup
    segments: int
    objects: Copied


def restore(
    settings: RestoreSettings, backup: Path, data: Path, until: datetime | None, owner: str | None
) -> Restored:
    """Fill an empty data directory and an empty object store from a backup.

    Nothing of the backup is needed afterwards: the WAL is copied along. `pg_control` comes last,
    so that PostgreSQL refuses to start on what was cut off.

    Args:
        settings: The object store to fill, of the kind that the backup is of.
        backup: Its folder.
        data: PostgreSQL's data directory to be; not there yet, or empty.
        until: Where replay ends, with its time zone; None: as far as the archive goes.
        owner: The user who runs the server, where that is not who restores.

    Raises:
        PermanentError: `target-not-empty`, `no-such-user`, `no-base-backup`, `bad-time` or
            `archive-has-a-gap`; nothing was changed.
    """
    folder = BackupFolder(backup)
    user = _user_of(owner)
    if data.exists() and any(data.iterdir()):
        raise PermanentError("target-not-empty", f"{data} is not empty: restore into an empty one")
    base = _base_before(folder, until)
    wal = segments_from(folder.wal, base.first_segment)
    objects = copy_back(folder, open_store(settings.objects))
    shutil.copytree(base.data, data, dirs_exist_ok=True, ignore=_left_out)
    data.chmod(0o700)
    for path in wal:
        # A partial file is as long as a whole one; replay ends where what was written ends.
        shutil.copyfile(path, data / "pg_wal" / path.name.removesuffix(".partial"))
    _ask_for_recovery(data, until)
    shutil.copyfile(base.data / _CONTROL, data / _CONTROL)
    if user:
        for path in (data, *data.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
    os.sync()  # thousands of files, of which the server itself syncs only what it changes
    return Restored(base, len(wal), objects)


def _user_of(owner: str | None) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(owner) if owner is not None else None
    except KeyError as error:
        raise PermanentError("no-such-user", f"there is no user {owner!r} here") from error


def _base_before(folder: BackupFolder, until: datetime | None) -> BaseBackup:
    """Return the newest base backup that was finished before the moment: the shortest replay."""
    if until and until.tzinfo is None:
        raise PermanentError("bad-time", "say the time with its zone: 2026-11-29T08:00:00+00:00")
    if until and until > datetime.now(UTC):
        raise PermanentError("bad-time", f"{until.isoformat()} has not come yet")
    bases = folder.finished()
    usable = [base for base in bases if until is None or base.finished_at <= until]
    if not usable:
        first = f"the first is of {bases[0].finished_at.isoformat()}" if bases else "there is none"
        raise PermanentError(
            "no-base-backup", f"{folder.root} has no finished base backup before that: {first}"
        )
    return usable[-1]


def _left_out(_folder: str, names: list[str]) -> set[str]:
    """The control file, and the socket's lock where the old server had it beside its data."""
    return {name for name in names if name == _CONTROL.name or name.startswith(".s.PGSQL.")}


def _ask_for_recovery(data: Path, until: datetime | None) -> None:
    # All WAL lies in pg_wal already; PostgreSQL asks for a command all the same.
    lines = ["restore_command = 'false'", "recovery_target_action = 'promote'"]
    if until:
        lines.append(f"recovery_target_time = '{until.isoformat()}'")
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write("\n# written by hemaline-cloud restore; of no effect once it has recovered\n")
        file.write("\n".join(lines) + "\n")
    (data / "recovery.signal").touch(mode=0o600)
