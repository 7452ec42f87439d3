"""One base backup: made by pg_basebackup, proved by pg_verifybackup, and only then counted."""

import json
from datetime import UTC, datetime
from pathlib import Path

from hemaline_cloud.backup.folder import BackupFolder, BaseBackup
from hemaline_cloud.backup.programs import connection, program, run
from hemaline_cloud.backup.wal import make_slot, segment_at
from hemaline_cloud.settings import BackupSettings


def take_base(settings: BackupSettings) -> BaseBackup:
    """Copy the whole database cluster while it runs; what was cut off before is removed first.

    Raises:
        PermanentError: `backup-busy` or `no-postgres-programs`.
        TransientError: `postgres-program-failed`; what there is of it does not count.
    """
    folder = BackupFolder(settings.backup)
    with folder.locked("base"):
        folder.remove_cut_off()
        make_slot(settings)  # before it: the archive shall begin no later than this
        data = folder.unfinished / "data"
        address, environment = connection(settings)
        taking = [program(settings, "pg_basebackup"), "--dbname", address, "--pgdata", str(data)]
        # The WAL that makes it whole lies inside: it can be restored without the archive, too.
        taking += ["--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-password"]
        run([*taking, "--manifest-checksums=SHA256"], environment, settings.backup)
        run([program(settings, "pg_verifybackup"), str(data)], environment, settings.backup)
        return folder.finish(folder.unfinished, datetime.now(UTC), _first_segment(data))


def _first_segment(data: Path) -> str:
    """Return the WAL file that replay begins with, from the backup's own manifest."""
    (begun, *_) = json.loads((data / "backup_manifest").read_bytes())["WAL-Ranges"]
    size = next(iter((data / "pg_wal").glob("[0-9A-F]" * 24))).stat().st_size
    return segment_at(begun["Timeline"], begun["Start-LSN"], size)
