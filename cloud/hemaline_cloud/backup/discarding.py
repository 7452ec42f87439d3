"""What of a backup is not needed any more."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hemaline_cloud.backup.copying import forget_deleted
from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.backup.wal import older_segments
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import BackupSettings


@dataclass(frozen=True, slots=True)
class Discarded:
    """How many of each were deleted."""

    bases: int
    segments: int
    objects: int


def discard(settings: BackupSettings, keep: timedelta) -> Discarded:
    """Delete what restoring any moment of the last `keep` does not need.

    The newest base backup before that time stays, and all after it.

    Raises:
        PermanentError: `backup-busy`, `not-its-store`.
    """
    folder = BackupFolder(settings.backup)
    with folder.locked("base"):
        folder.remove_cut_off()
        bases = folder.finished()
        old = [base for base in bases if base.finished_at <= datetime.now(UTC) - keep][:-1]
        for base in old:
            folder.discard(base)
        kept = bases[len(old) :]
        unneeded = older_segments(folder.wal, kept[0].first_segment) if kept else []
        for path in unneeded:
            path.unlink()
        objects = forget_deleted(open_store(settings.objects), folder, keep)
    return Discarded(len(old), len(unneeded), objects)
