"""Takes a desired configuration through its trial: checked, applied, proved, kept or undone."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hemaline_edge.configuration.fitting import configured
from hemaline_edge.configuration.kept import Kept, read_kept, write_kept
from hemaline_edge.settings import EdgeSettings
from hemaline_shared.device_configuration import (
    DesiredConfiguration,
    ReportedConfiguration,
    read_desired,
)
from hemaline_shared.errors import HemalineError, PermanentError
from hemaline_shared.messages import decode

logger = logging.getLogger(__name__)

PROVED_AFTER_S = 5.0
UNDONE_AFTER_S = 120.0
_REST_S = 10.0
"""Before what could not be written down is tried again."""
_MOST_TRIALS = 3
"""An agent that ends so often while it tries a configuration is kept from it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trial needs of the agent.

    Attributes:
        apply: Sets the running agent; takes effect at once.
        check: Raises a PermanentError for settings that the disk has no room for.
        problems: Which readiness checks fail now; without the broker, `broker` is among them.
        tell: Publishes a report, retained; raises a HemalineError where it cannot.
    """

    apply: Callable[[EdgeSettings], None]
    check: Callable[[EdgeSettings], None]
    problems: Callable[[], tuple[str, ...]]
    tell: Callable[[ReportedConfiguration], None]


class Configuring:
    """`hear` and `connected` may be called by any thread, the rest by the agent's alone."""

    def __init__(self, directory: Path, own: EdgeSettings, around: Surroundings) -> None:
        """Read what holds.

        Args:
            directory: Of the spool.
            own: The settings of the device's own file and environment.
            around: The agent.
        """
        self._directory = directory
        self._own = own
        self._around = around
        self._kept = read_kept(directory)
        self._heard: deque[bytes] = deque(maxlen=1)
        self._rests_until = 0.0
        self._is_untold = False
        self._began_at = 0.0
        self._well_since: float | None = None
        self._before: frozenset[str] = frozenset()
        self._on_trial = False
        self.settings = self._settings_of(self._kept.good)
        """What holds."""

    def hear(self, payload: bytes) -> None:
        """Take a desired configuration; only the last one heard counts."""
        self._heard.append(payload)

    def connected(self) -> None:
        """Tell once more what was last reported: the broker may have lost it."""
        self._is_untold = True

    def turn(self, now: float) -> None:
        """Do what is due; called all the time.

        Args:
            now: By a clock that nobody can set, in seconds.
        """
        if self._on_trial:
            self._watch(now)
        elif self._heard and now >= self._rests_until:
            self._consider(self._heard.popleft(), now)
        self._tell()

    def _consider(self, payload: bytes, now: float) -> None:
        try:
            wanted = decode(DesiredConfiguration, payload)
        except PermanentError as error:  # of no version: nothing can be reported
            logger.warning("a desired configuration that cannot be read is passed over: %s", error)
            return
        if self._is_known(wanted):
            self._is_untold = True
            return
        if wanted == self._kept.good:
            self._end(wanted, "applied")
            return
        try:
            settings = self._judge(wanted)
            self._begin(wanted, now)
        except PermanentError as error:
            self._end(wanted, "refused", error)
            return
        except HemalineError as error:
            logger.warning("version %d is tried again: %s", wanted.version, error)
            self._rests_until = now + _REST_S
            if not self._heard:
                self._heard.append(payload)
            return
        self._around.apply(settings)

    def _is_known(self, wanted: DesiredConfiguration) -> bool:
        """Whether it has had its trial."""
        told = self._kept.report
        return told is not None and (told.version, told.sha256) == (wanted.version, wanted.sha256)

    def _judge(self, wanted: DesiredConfiguration) -> EdgeSettings:
        newest = max((d.version for d in (self._kept.good, self._kept.trying) if d), default=0)
        if wanted.version < newest:
            raise PermanentError(
                "older", f"it is older than version {newest}, which this device has had"
            )
        if self._kept.good and wanted.version == self._kept.good.version:
            raise PermanentError(
                "other-content", f"version {newest} has another content on this device"
            )
        settings = configured(self._own, read_desired(wanted))
        self._around.check(settings)
        return settings

    def _begin(self, wanted: DesiredConfiguration, now: float) -> None:
        """Write down what is tried before it is tried.

        Raises:
            PermanentError: `ends-the-agent`.
            TransientError: As `write_kept`.
        """
        trials = self._kept.trials if wanted == self._kept.trying else 0
        if trials >= _MOST_TRIALS:
            raise PermanentError(
                "ends-the-agent", f"the agent ended {trials} times while it was tried"
            )
        self._keep(self._kept.model_copy(update={"trying": wanted, "trials": trials + 1}))
        self._before = frozenset(self._around.problems()) - {"broker"}
        self._began_at, self._well_since = now, None
        self._on_trial = True
        logger.info("configuration %d is tried", wanted.version)

    def _watch(self, now: float) -> None:
        wanted = self._kept.trying
        assert wanted
        wrong = sorted(frozenset(self._around.problems()) - self._before)
        if wrong:
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now
        elif now - self._well_since >= PROVED_AFTER_S:
            self._end(wanted, "applied")
            return
        if now - self._began_at >= UNDONE_AFTER_S:
            said = ", ".join(wrong) or "nothing for long enough"
            why = PermanentError(
                "not-well", f"after {UNDONE_AFTER_S:.0f} s readiness still said: {said}"
            )
            self._around.apply(self.settings)
            self._end(wanted, "reverted", why)

    def _end(
        self,
        wanted: DesiredConfiguration,
        outcome: Literal["applied", "refused", "reverted"],
        why: PermanentError | None = None,
    ) -> None:
        good = wanted if outcome == "applied" else self._kept.good
        report = ReportedConfiguration(
            version=wanted.version,
            sha256=wanted.sha256,
            outcome=outcome,
            in_force=good.version if good else 0,
            detail=str(why)[:1000] if why else None,
        )
        kept = Kept(good=good, report=report)
        try:
            self._keep(kept)
        except HemalineError as error:
            logger.warning("what became of version %d is not kept: %s", wanted.version, error)
            if outcome == "applied":  # what is not on disk does not hold: tried again, or undone
                self._well_since = None
                return
            self._kept = kept  # the file leads a new start to the same settings
        self._on_trial, self._is_untold = False, True
        self.settings = self._settings_of(good)
        logger.log(
            logging.INFO if outcome == "applied" else logging.WARNING,
            "configuration %d is %s%s",
            wanted.version,
            outcome,
            f": {why}" if why else "",
        )

    def _keep(self, kept: Kept) -> None:
        write_kept(self._directory, kept)
        self._kept = kept

    def _settings_of(self, good: DesiredConfiguration | None) -> EdgeSettings:
        """Return the settings; those that fit no more after the device's file was changed: own."""
        if good is None:
            return self._own
        try:
            return configured(self._own, read_desired(good))
        except PermanentError as error:
            logger.warning("configuration %d holds no more: %s", good.version, error)
            return self._own

    def _tell(self) -> None:
        if not self._is_untold or self._kept.report is None:
            return
        try:
            self._around.tell(self._kept.report)
            self._is_untold = False
        except HemalineError:
            return  # told at the next connection
