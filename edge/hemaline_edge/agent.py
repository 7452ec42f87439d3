"""The agent: puts capture, spool, publisher and the link together, and keeps watch over them."""

import logging
import threading
import time
from contextlib import suppress

import cv2
from prometheus_client import CollectorRegistry

from hemaline_edge.capture.opening import open_source
from hemaline_edge.capturing import Capturing
from hemaline_edge.clock import Clock
from hemaline_edge.configuration.configuring import Configuring, Surroundings
from hemaline_edge.configuration.fitting import check_disk
from hemaline_edge.device_commands.commanding import Commanding
from hemaline_edge.device_commands.doing import CommandedDevice, Ending, Parts
from hemaline_edge.device_commands.log_lines import LogLines
from hemaline_edge.metrics import EdgeMetrics, watch_spool
from hemaline_edge.page.server import PageServer
from hemaline_edge.page.state import PageState
from hemaline_edge.presence import Ages, SpoolState, Turn, client_id, last_will, status, telemetry
from hemaline_edge.publisher.publisher import Publisher
from hemaline_edge.renewing import Renewing
from hemaline_edge.settings import EdgeSettings, PageSettings
from hemaline_edge.spool.spool import open_spool
from hemaline_edge.supervision import Supervisor
from hemaline_edge.temperature import hottest_c
from hemaline_shared.barcodes import folded
from hemaline_shared.device_commands import CommandResult
from hemaline_shared.device_configuration import ReportedConfiguration
from hemaline_shared.errors import HemalineError, TransientError
from hemaline_shared.health import Check, HealthServer
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import Inbound, Listener, MqttLink, Will
from hemaline_shared.redaction import redact
from hemaline_shared.topics import Channel

logger = logging.getLogger(__name__)

_TICK_S = 0.1
_HEARD = (Channel.RECEIPT, Channel.UPLOAD_GRANT, Channel.CONFIG_DESIRED, Channel.COMMAND)
_ANSWERS_KEPT_S = 3600
"""So long the broker keeps receipts for a device that is away; later it asks again."""


class Agent:
    """One run of the agent, from start to stop."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Open the spool and the source.

        Raises:
            HemalineError: Without them there is nothing to run.
        """
        self._settings = settings
        cv2.setNumThreads(1)  # OpenCV's threads cost more memory than they save time
        self._spool = open_spool(settings.spool)
        self._session = self._spool.session()
        self._spool_id = 0
        self._session_was_born = True
        self._telemetry_number = 0
        self._clock = Clock()
        self._registry = CollectorRegistry()
        self._metrics = EdgeMetrics(self._registry)
        self._publisher = Publisher(self._spool, settings.name, settings.publisher, self._metrics)
        self._configuring = Configuring(
            settings.spool.path,
            settings,
            Surroundings(
                self._configure, self._check_room, self._problems, self._tell_configuration
            ),
        )
        self._settings = settings = self._configuring.settings
        self._spool.quota_bytes = settings.spool.quota_bytes
        logging.getLogger().setLevel(settings.log_level.upper())
        self._link = self._make_link()
        page = self._page_state(settings.page) if settings.page else None
        self._capturing = Capturing(
            settings,
            open_source(settings.source, self._spool),
            self._spool,
            self._metrics,
            self._publisher.wake,
            page.captured if page else None,
        )
        self._log_lines = LogLines()
        self._ending = Ending.NOTHING
        self._commanding = self._make_commanding(page)
        self._page: PageServer | None = None
        if page and settings.page:
            page.use(self._capturing, self._commanding)
            self._page = PageServer(settings.page, page)
        self._checks: dict[str, Check] = {
            "clock": self._clock.problem,
            "spool": self._spool.refusal,
            "capture": self._capturing.problem,
            "pictures": self._capturing.picture_problem,
            "source": self._capturing.source_problem,
            "publisher": self._publisher.problem,
            "broker": self._link.problem,
        }
        self._renewing = Renewing(settings)
        self._health = HealthServer(
            settings.health.host,
            settings.health.port,
            self._checks,
            self._registry,
            notices={"spool": self._spool.kept_notice, "certificate": self._renewing.problem},
        )
        self._supervisor = Supervisor()
        self._turns = 0
        self._stopping = threading.Event()
        watch_spool(self._metrics, self._spool)
        self._metrics.watch(
            "unreadable", "Messages that cannot be read", lambda: self._publisher.unreadable
        )
        self._metrics.watch(
            "broker_connected", "1 while the broker has us", lambda: float(self._link.connected)
        )

    @property
    def ending(self) -> Ending:
        """What is to come after the run, by the word of a command."""
        return self._ending

    def stop(self) -> None:
        """Ask the run to end; any thread may."""
        self._stopping.set()

    def run(self, *, until_drained: bool = False, time_limit_s: float | None = None) -> bool:
        """Run until stopped.

        Args:
            until_drained: End when the source is at its end and all is receipted.
            time_limit_s: End after so long in any case.

        Returns:
            False when the time limit ended it.
        """
        started = time.monotonic()
        self._start()
        try:
            next_telemetry = started
            while not self._stopping.wait(_TICK_S):
                now = time.monotonic()
                if self._supervisor.is_due(now) and self._makes_progress():
                    self._supervisor.alive(now)
                self._configuring.turn(now)
                self._commanding.turn(now)
                if now >= next_telemetry:
                    next_telemetry = now + self._settings.telemetry_s
                    self._tell_telemetry(self._problems())
                if until_drained and self._is_drained():
                    return True
                if time_limit_s is not None and now - started > time_limit_s:
                    return False
            return True
        finally:
            self._shut_down()

    def _page_state(self, settings: PageSettings) -> PageState:
        return PageState(
            self._spool,
            settings.check_digit,
            lambda: self._link.connected,
            lambda: self._publisher.receipt_age_s,
            self._told_problems,
        )

    def _make_commanding(self, page: PageState | None) -> Commanding:
        spool, capturing = self._spool, self._capturing
        parts = Parts(
            spool=self._settings.spool.path,
            contents=spool.contents,
            read_name=page.read_name if page else folded,
            started_slide=lambda: spool.started_slide(capturing.scope),
            start_slide=capturing.start_slide,
            end_slide=spool.end_slide,
            name_slide=spool.name_slide,
            flush=self._publisher.flush,
            end=self._end,
            log=self._log_lines,
        )
        device = CommandedDevice(parts)
        return Commanding(parts.spool, device, self._clock.problem, self._tell_result)

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self.stop()

    def _make_link(self) -> MqttLink:
        name = self._settings.name
        listener = Listener(
            on_message=self._hear,
            on_connected=self._on_connected,
            on_disconnected=self._publisher.disconnected,
            on_acknowledged=self._publisher.acknowledged,
            on_refused=self._publisher.refused,
        )
        return MqttLink(
            self._settings.broker,
            client_id(name),
            listener,
            subscriptions=tuple(map(name.topic, _HEARD)),
            will=self._next_last_will,
            session_expiry_s=_ANSWERS_KEPT_S,
        )

    def _next_last_will(self) -> Will:
        """Begin a session: one for each connection, so that its end is told by its own number.

        A session that never got a connection is used for the next try.
        """
        if self._session_was_born:
            try:
                self._session = self._spool.next_session(self._session)
                self._spool_id = self._spool.own_id()
            except TransientError as error:  # a full disk must not keep the device off the network
                self._session += 1
                logger.warning("session %d could not be recorded: %s", self._session, error)
            self._session_was_born = False
        return last_will(self._settings.name, self._turn())

    def _on_connected(self) -> None:
        self._session_was_born = True
        self._publisher.connected()
        self._tell_status(online=True)
        self._configuring.connected()

    def _hear(self, inbound: Inbound) -> None:
        topic = self._settings.name.topic
        if inbound.topic == topic(Channel.CONFIG_DESIRED):
            self._configuring.hear(inbound.payload)
        elif inbound.topic == topic(Channel.COMMAND):
            self._commanding.hear(inbound.payload)
        else:
            self._publisher.hear(inbound)
            return
        self._link.acknowledge(inbound)

    def _configure(self, settings: EdgeSettings) -> None:
        """Go on with other settings, without a new start: no slide is cut in two."""
        self._settings = settings
        self._spool.quota_bytes = settings.spool.quota_bytes
        self._capturing.configure(settings)
        logging.getLogger().setLevel(settings.log_level.upper())

    def _check_room(self, settings: EdgeSettings) -> None:
        check_disk(settings, self._spool.size, self._spool.disk_free())

    def _tell_configuration(self, report: ReportedConfiguration) -> None:
        topic = self._settings.name.topic(Channel.CONFIG_REPORTED)
        self._link.publish(topic, encode(report), retain=True)

    def _tell_result(self, result: CommandResult) -> None:
        topic = self._settings.name.topic(Channel.COMMAND_RESULT)
        self._link.publish(topic, encode(result))

    def _start(self) -> None:
        logging.getLogger().addHandler(self._log_lines)
        self._health.start()
        logger.info(
            "%s: health and metrics on port %d, spool in %s",
            self._settings.name,
            self._health.port,
            self._spool.directory,
        )
        logger.info("%s", self._settings.names_policy)
        self._renewing.start()
        self._commanding.resume()
        if self._page:
            self._page.start()
            logger.info("the page at the microscope is on port %d", self._page.port)
        self._link.start()
        self._publisher.start(self._link)
        self._capturing.start()
        self._supervisor.ready()

    def _shut_down(self) -> None:
        if self._ending is not Ending.NEW_START:  # then the supervisor's process goes on
            self._supervisor.stopping()
        problems = self._problems()  # that everything has been stopped is none
        if self._page:
            self._page.stop()
        self._renewing.stop()
        self._capturing.stop()
        self._publisher.stop()
        self._tell_telemetry(problems)  # the last one stays on the pages: it must be true
        self._tell_status(online=False, stopped=True)
        self._link.stop()
        self._health.stop()
        waiting = self._spool.contents().messages
        self._spool.close()
        logger.info("stopped; %d messages wait in the spool for the next start", waiting)
        logging.getLogger().removeHandler(self._log_lines)

    def _makes_progress(self) -> bool:
        """Whether the publisher has gone round since this was last true, and the spool answers.

        An error is an answer, and `/readyz` tells it; what hangs is mended by a new start only.
        """
        with suppress(HemalineError):
            self._spool.contents()  # does not return while the disk hangs or its lock is held
        turns, self._turns = self._turns, self._publisher.turns
        return self._turns != turns

    def _is_drained(self) -> bool:
        return self._capturing.finished and self._spool.contents().messages == 0

    def _turn(self) -> Turn:
        return Turn(self._session, self._telemetry_number, self._spool_id)

    def _tell_status(self, *, online: bool, stopped: bool = False) -> None:
        topic = self._settings.name.topic(Channel.STATUS)
        try:
            address = self._link.own_address
            told = status(self._turn(), online=online, stopped=stopped, address=address)
            self._link.publish(topic, told, retain=True)
        except TransientError as error:
            logger.info("status not told: %s", error)

    def _problems(self) -> tuple[str, ...]:
        """Return which checks say that something is wrong; the clock's tells the log so, too."""
        return tuple(name for name, check in self._checks.items() if _fails(check))

    def _told_problems(self) -> list[str]:
        return [redact(said) for check in self._checks.values() if (said := check())]

    def _tell_telemetry(self, problems: tuple[str, ...]) -> None:
        if not self._link.connected:
            return
        self._telemetry_number += 1
        try:
            spool = self._spool
            payload = telemetry(
                self._turn(),
                SpoolState(
                    spool.counts(),
                    spool.contents(),
                    spool.quota_bytes,
                    spool.disk_free(),
                    self._publisher.unreadable,
                    spool.kept(),
                ),
                problems=problems,
                ages=Ages(
                    self._capturing.age_s,
                    self._publisher.receipt_age_s,
                    self._publisher.receipt_wait_s,
                ),
                period_s=self._settings.telemetry_s,
                temperature_c=hottest_c(),
            )
            self._link.publish(self._settings.name.topic(Channel.TELEMETRY), payload)
        except (HemalineError, OSError) as error:
            logger.warning("telemetry not told: %s", error)


def _fails(check: Check) -> bool:
    try:
        return check() is not None
    except (HemalineError, OSError):  # what cannot even be looked at is not well
        return True
