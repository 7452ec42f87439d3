"""Renews the device's certificate while the agent runs."""

import logging
import threading

from hemaline_edge.enrolment import DeviceCertificate
from hemaline_edge.settings import EdgeSettings
from hemaline_shared.errors import HemalineError

logger = logging.getLogger(__name__)


class Renewing:
    """Looks every so often whether half of the certificate's time is over, and renews it.

    An open connection stays as it is; the next one is made with the new certificate.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._check_s = settings.enrolment.check_s if settings.enrolment else 0.0
        self._certificate = DeviceCertificate(settings) if settings.enrolment else None
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewing", daemon=True)

    def start(self) -> None:
        """Renew from now on, in a thread; nothing where no enrolment is set up."""
        if self._certificate:
            self._thread.start()

    def stop(self) -> None:
        """Renew no more; a request under way is not waited for."""
        self._stopping.set()

    def problem(self) -> str | None:
        """Why the certificate that is due could not be renewed at the last try."""
        return self._problem

    def _run(self) -> None:
        assert self._certificate
        while True:
            try:
                if self._certificate.is_due():
                    until = self._certificate.renew()
                    logger.info("certificate renewed until %s", until.isoformat())
                self._problem = None
            except HemalineError as error:
                self._problem = f"the device's certificate is due and not renewed: {error}"
                logger.warning("%s", self._problem)
            if self._stopping.wait(self._check_s):
                return
