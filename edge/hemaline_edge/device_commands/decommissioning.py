"""Empties a device for good: spool first, then the result is told, then the key goes.

Each step may be cut short by a kill; the next start goes on with it.
"""

import logging
import shutil
import threading
from contextlib import closing

from hemaline_edge.device_commands.kept import (
    COMMANDS_FILE,
    KeptCommands,
    Record,
    read_commands,
    write_commands,
)
from hemaline_edge.presence import client_id
from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.view import INDEX_NAME, open_view
from hemaline_shared.device_commands import Decommission
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel

logger = logging.getLogger(__name__)

_TELL_S = 30.0


class Decommissioning:
    """Of a device whose agent does not run."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Read what was begun.

        Raises:
            PermanentError: `decommissioned`: it is at its end.
        """
        self._settings = settings
        self._directory = settings.spool.path
        self._kept = read_commands(self._directory)
        self._record = _record_of(self._kept)
        if self._record and self._record.is_over:
            raise _decommissioned(self._record)

    @property
    def is_due(self) -> bool:
        """Whether this device is to be emptied, or is so in part."""
        return self._record is not None

    def run(self) -> None:
        """Do what is left of it. Returns only where it is refused: then the agent goes on.

        Raises:
            PermanentError: `decommissioned`: all of it is done.
            TransientError: `wipe-failed` or `commands-unwritable`; the next start goes on.
        """
        assert self._record
        waiting = self._messages_that_wait()
        if waiting:
            detail = f"{waiting} messages came to wait here for the cloud"
            self._put({"state": "refused", "reason": "messages-wait", "detail": detail})
            return
        self._empty_spool()
        detail = "the spool is empty, and the device's key is deleted"
        self._put({"state": "done", "reason": None, "detail": detail})
        self._tell()
        self._delete_key()
        self._put({"is_over": True})
        raise _decommissioned(self._record)

    def _messages_that_wait(self) -> int:
        """Count once more what would be lost: a frame may have come while the agent ended."""
        assert self._record
        arguments = Decommission.model_validate(self._record.command.arguments)
        if arguments.discard_waiting or not (self._directory / INDEX_NAME).exists():
            return 0
        with closing(open_view(self._directory)) as view:
            return view.contents().messages

    def _empty_spool(self) -> None:
        try:
            for path in self._directory.iterdir():
                if path.name == COMMANDS_FILE:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError as error:
            raise TransientError(
                "wipe-failed", f"{error.filename} cannot be deleted: {error.strerror}"
            ) from error

    def _put(self, said: dict[str, object]) -> None:
        assert self._record
        self._record = self._record.model_copy(update=said)
        self._kept = self._kept.with_record(self._record)
        write_commands(self._directory, self._kept)

    def _tell(self) -> None:
        """Tell the cloud, which revokes the certificates then; where it cannot, nobody hears."""
        assert self._record
        heard = threading.Event()
        name, result = self._settings.name, self._record.result
        listener = Listener(lambda _message: None, on_acknowledged=lambda _token: heard.set())
        link = MqttLink(self._settings.broker, client_id(name), listener)
        link.start()
        try:
            if link.wait_connected(_TELL_S):
                link.publish(name.topic(Channel.COMMAND_RESULT), encode(result))
            if not heard.wait(_TELL_S if link.connected else 0):
                logger.error("the cloud was not told that this device is emptied")
        except HemalineError as error:
            logger.error("the cloud was not told that this device is emptied: %s", error)  # noqa: TRY400
        finally:
            link.stop()

    def _delete_key(self) -> None:
        broker = self._settings.broker
        for path in (broker.key, broker.certificate):
            try:
                if path:
                    path.unlink(missing_ok=True)
            except OSError as error:  # the cloud revokes what it was for
                logger.error("%s cannot be deleted: %s", path, error.strerror)  # noqa: TRY400


def allow_again(settings: EdgeSettings) -> None:
    """Let a device work again that was enrolled anew after it was decommissioned.

    Raises:
        TransientError: As `write_commands`.
    """
    kept = read_commands(settings.spool.path)
    if record := _record_of(kept):
        records = tuple(each for each in kept.records if each is not record)
        write_commands(settings.spool.path, kept.model_copy(update={"records": records}))


def _record_of(kept: KeptCommands) -> Record | None:
    found = (
        each
        for each in kept.records
        if each.command.verb == "decommission" and each.state in {"received", "done"}
    )
    return next(found, None)


def _decommissioned(record: Record) -> PermanentError:
    return PermanentError(
        "decommissioned",
        f"this device was decommissioned by {record.command.asked_by}: to use it again, enrol it "
        f"anew, or where it has no certificate, move {COMMANDS_FILE} out of the spool's directory",
    )
