"""Takes commands: each is written down before it is begun, done once, and its result is told."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import UUID

from hemaline_edge.device_commands.doing import Device
from hemaline_edge.device_commands.kept import (
    KeptCommands,
    Record,
    State,
    read_commands,
    write_commands,
)
from hemaline_shared.device_commands import VERBS, Command, CommandResult, read_arguments
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.messages import decode

logger = logging.getLogger(__name__)

Answer: TypeAlias = Literal["seen", "done", "refused"]
"""Of the person at the microscope."""

_REST_S = 10.0
"""Before what could not be written down is tried again."""
_MOST_OPEN = 50
"""More requests than that, nobody at a microscope reads."""
_FORGOTTEN_AFTER = timedelta(days=1)
"""What has expired is refused whenever it comes again, so it need not be kept for ever."""


class Commanding:
    """`hear` and `answer` may be called by any thread, the rest by the agent's alone."""

    def __init__(
        self,
        directory: Path,
        device: Device,
        clock_problem: Callable[[], str | None],
        tell: Callable[[CommandResult], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read what is known.

        Args:
            directory: Of the spool.
            device: Does it.
            clock_problem: Says why the device's clock cannot be right, or None.
            tell: Publishes a result; raises a HemalineError where it cannot.
            now: The device's clock.
        """
        self._directory = directory
        self._device = device
        self._clock_problem = clock_problem
        self._publish = tell
        self._now = now
        self._kept = read_commands(directory)
        self._heard: deque[bytes] = deque(maxlen=2 * _MOST_OPEN)
        self._untold: dict[UUID, None] = {}
        self._unwritten: deque[Record] = deque()
        self._rests_until = 0.0
        self._lock = threading.RLock()

    def hear(self, payload: bytes) -> None:
        """Take a command; what is too much at once comes again."""
        self._heard.append(payload)

    def resume(self) -> None:
        """End what an earlier run had begun, before anything else happens."""
        for record in self._kept.records:
            if record.state == "received" and not _is_request(record.command):
                self._do(record, again=True)

    def turn(self, now: float) -> None:
        """Do what is due; called all the time.

        Args:
            now: By a clock that nobody can set, in seconds.
        """
        with self._lock:
            while self._heard and now >= self._rests_until:
                payload = self._heard.popleft()
                try:
                    self._take(payload)
                except TransientError as error:
                    logger.warning("a command is taken later: %s", error)
                    self._heard.appendleft(payload)
                    self._rests_until = now + _REST_S
            if now >= self._rests_until:
                self._end_what_is_due(now)
            self._tell()

    def requests(self) -> list[Record]:
        """Return what is asked of the person here and not answered, oldest first."""
        return [
            record
            for record in self._kept.records
            if not record.has_ended and _is_request(record.command)
        ]

    def answer(self, command_id: UUID, said: Answer) -> None:
        """Keep what the person here says to a request; the cloud is told.

        Raises:
            PermanentError: `no-such-request`: it has expired, or was answered.
            TransientError: `commands-unwritable`.
        """
        with self._lock:
            record = self._kept.find(command_id)
            if record is None or record not in self.requests():
                raise PermanentError("no-such-request", "This is not asked for any more.")
            if said == record.state:
                return
            if said == "refused":
                self._put(record, said, "not-possible", "so says whoever is at the microscope")
            else:
                self._put(record, said)

    def _take(self, payload: bytes) -> None:
        try:
            command = decode(Command, payload)
        except PermanentError as error:  # of no id: nothing can be told
            logger.warning("a command that cannot be read is passed over: %s", error)
            return
        floor = max(command.sent_at, self._kept.floor or command.sent_at)
        self._kept = self._kept.model_copy(update={"floor": floor})
        if self._kept.find(command.command_id):
            self._untold[command.command_id] = None
            return
        record = Record(command=command, state="received")
        try:
            self._check(command)
            record = record.model_copy(update={"slide_id": self._device.slide_of(command)})
        except PermanentError as error:
            state: State = "expired" if error.reason == "expired" else "refused"
            self._put(record, state, error.reason, str(error))
            return
        self._put(record, "received")
        if not _is_request(command):
            self._do(record, again=False)

    def _check(self, command: Command) -> None:
        """Refuse what this device does not do, or not any more.

        Raises:
            PermanentError: `unknown-command`, `invalid-arguments`, `clock-impossible`, `expired` or
                `too-many`.
        """
        read_arguments(command.verb, command.arguments)
        if problem := self._clock_problem():
            raise PermanentError("clock-impossible", problem)
        if self._has_expired(command):
            raise PermanentError(
                "expired",
                f"it was good until {command.expires_at:%Y-%m-%d %H:%M} UTC, and here it is "
                f"{self._time():%Y-%m-%d %H:%M}",
            )
        if _is_request(command) and len(self.requests()) >= _MOST_OPEN:
            raise PermanentError("too-many", f"{_MOST_OPEN} requests wait here already")

    def _do(self, record: Record, *, again: bool) -> None:
        command = record.command
        try:
            arguments = read_arguments(command.verb, command.arguments)
            done = self._device.do(command, arguments, record.slide_id, again=again)
        except PermanentError as error:
            self._end(record, "refused", error.reason, str(error))
        except HemalineError as error:
            self._end(record, "failed", error.reason, str(error))
        except Exception as error:
            logger.exception("command %s failed unexpectedly", command.verb)
            self._end(record, "failed", "unexpected", type(error).__name__)
        else:
            if done is not None:
                self._end(record, "done", None, done.detail)

    def _end(self, record: Record, state: State, reason: str | None, detail: str | None) -> None:
        """Write down the end of what was done; where there is no room for that, later."""
        try:
            self._put(record, state, reason, detail)
        except TransientError as error:
            logger.warning("the end of %s is not kept yet: %s", record.command.verb, error)
            said = {"state": state, "reason": reason, "detail": detail}
            self._unwritten.append(record.model_copy(update=said))

    def _write_ends(self) -> None:
        while self._unwritten:
            record = self._unwritten[0]
            self._put(record, record.state, record.reason, record.detail)
            self._unwritten.popleft()

    def _end_what_is_due(self, now: float) -> None:
        try:
            self._write_ends()
            for record in self.requests():
                if not self._clock_problem() and self._has_expired(record.command):
                    self._put(record, "expired", "expired", "nobody here has answered in time")
        except TransientError as error:
            logger.warning("the end of a command is kept later: %s", error)
            self._rests_until = now + _REST_S

    def _has_expired(self, command: Command) -> bool:
        return self._time() >= command.expires_at

    def _time(self) -> datetime:
        """Return the time: by the device's clock, or the latest that the cloud has told."""
        return max(self._now(), self._kept.floor or self._now())

    def _put(
        self, record: Record, state: State, reason: str | None = None, detail: str | None = None
    ) -> None:
        """Write down how a command stands now; from here on it does, whatever becomes of us.

        Raises:
            TransientError: `commands-unwritable`; it stands as before.
        """
        said = {"state": state, "reason": reason, "detail": detail[:1000] if detail else None}
        kept = self._without_old().with_record(record.model_copy(update=said))
        write_commands(self._directory, kept)
        self._kept = kept
        command = record.command
        self._untold[command.command_id] = None
        why = f": {reason}" if reason else ""
        logger.info("command %s %s is %s%s", command.verb, command.command_id, state, why)

    def _without_old(self) -> KeptCommands:
        before = self._time() - _FORGOTTEN_AFTER
        records = (
            each
            for each in self._kept.records
            if not each.has_ended or each.command.expires_at > before
        )
        return self._kept.model_copy(update={"records": tuple(records)})

    def _tell(self) -> None:
        for command_id in list(self._untold):
            record = self._kept.find(command_id)
            try:
                if record:
                    self._publish(self._with_lines(record))
            except HemalineError:
                return  # told at the next connection
            del self._untold[command_id]

    def _with_lines(self, record: Record) -> CommandResult:
        if record.command.verb != "collect-logs" or record.state != "done":
            return record.result
        return record.result.model_copy(update={"lines": self._device.log_lines()})


def _is_request(command: Command) -> bool:
    rules = VERBS.get(command.verb)
    return rules is not None and rules.is_request
