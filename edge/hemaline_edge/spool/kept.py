"""Images of frames that were quarantined here: listed, sent again, or deleted by a person.

The verbs may be used while the agent runs: it notices that another process wrote to the index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from hemaline_edge.spool.database import Database
from hemaline_edge.spool.files import ImageFiles
from hemaline_edge.spool.header import read_header
from hemaline_edge.spool.records import KeptFile, OperatorAction
from hemaline_edge.spool.view import INDEX_NAME, SpoolView, require_spool
from hemaline_edge.spool.writing import record_action, send_again
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import sha256_hex


class KeptImages(SpoolView):
    """An operator's side of a spool."""

    def __init__(self, database: Database, files: ImageFiles) -> None:
        super().__init__(database)
        self._files = files

    def files(self) -> list[KeptFile]:
        """Return what is kept, longest ago first."""
        return self._files.kept()

    def find(self, message_id: UUID) -> KeptFile:
        """Return one of them.

        Raises:
            PermanentError: `nothing-kept`.
        """
        for file in self._files.kept():
            if file.message_id == message_id:
                return file
        raise PermanentError(
            "nothing-kept",
            f"no images of frame {message_id} are kept here: `hemaline-edge spool list` shows "
            "those that are",
        )

    def path(self, file: KeptFile) -> Path:
        """Where it lies."""
        return self._files.path_of_kept(file)

    def actions_on(self, message_id: UUID) -> list[OperatorAction]:
        """Return what was done with one of them, oldest first."""
        rows = self._database.rows(
            "select * from operator_actions where message_id = ? order by rowid", str(message_id)
        )
        return [
            OperatorAction(
                datetime.fromisoformat(row["at"]), row["operator"], row["action"], row["detail"]
            )
            for row in rows
        ]

    def retry(self, operator: str, message_id: UUID) -> None:
        """Let a frame wait in the spool again, as it was captured; the cloud takes it in yet.

        Raises:
            PermanentError: `nothing-kept`; `no-message`: nobody knows which frame it is;
                `damaged-in-spool`; `not-told-yet`: the cloud has not answered for its quarantine.
            TransientError: `spool-full`, `spool-unwritable` or `spool-unreadable`.
        """
        file = self.find(message_id)
        with self._database.transaction() as connection:
            row = connection.execute(
                "select kept.*, entries.position from kept left join entries using (message_id)"
                " where kept.message_id = ?",
                (str(message_id),),
            ).fetchone()
            if row is None:
                raise PermanentError(
                    "no-message",
                    f"the message of {message_id} is gone, and images alone cannot be sent: look "
                    f"at {self.path(file)}, and discard it",
                )
            if row["position"] is not None:
                raise PermanentError(
                    "not-told-yet",
                    f"the cloud has not heard yet that {message_id} was quarantined: wait until "
                    "its message is receipted",
                )
            read_header(row)
            if sha256_hex(self._files.read_kept(file)) != row["sha256"]:
                raise PermanentError(
                    "damaged-in-spool",
                    f"the images of {message_id} are not those that were captured: look at "
                    f"{self.path(file)}, and discard it",
                )
            send_again(connection, row)
            record_action(connection, operator, "retry", message_id, f"was {file.state}")
            # Before the commit: the agent sends what it finds, at once.
            self._files.put_back(file)

    def discard(self, operator: str, message_id: UUID, why: str) -> None:
        """Delete images for good; the index keeps who did it and why.

        Raises:
            PermanentError: `nothing-kept`.
            TransientError: `spool-full` or `spool-unwritable`.
        """
        file = self.find(message_id)
        with self._database.transaction() as connection:
            connection.execute("delete from kept where message_id = ?", (str(message_id),))
            detail = f"was {file.state}, {file.size:,} bytes; {why}"
            record_action(connection, operator, "discard", message_id, detail)
            self._files.remove_kept(file)


@contextmanager
def open_kept(directory: Path, *, read_only: bool = False) -> Iterator[KeptImages]:
    """Open a spool for an operator, whether its agent runs or not.

    Raises:
        PermanentError: `no-spool`, or as `Database`.
        TransientError: As `Database`.
    """
    require_spool(directory)
    files = ImageFiles(directory / "images")
    kept = KeptImages(Database(directory / INDEX_NAME, read_only=read_only), files)
    try:
        yield kept
    finally:
        kept.close()
