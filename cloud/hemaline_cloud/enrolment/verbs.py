"""`hemaline-cloud devices make-authority | enrol | revoke` and `hemaline-cloud est`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.database.enrolment import add_token, revoke_certificates
from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.enrolment.authority import Authority, load_authority
from hemaline_cloud.enrolment.broker_lists import BrokerLists
from hemaline_cloud.enrolment.est import EstServer
from hemaline_cloud.enrolment.issuing import EST, Issuing
from hemaline_cloud.people.secrets import digest, new_secret
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings, EstSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.stopping import on_stop_signal
from hemaline_shared.topics import DeviceName

_Print = Callable[[str], None]


def enrol_device(
    settings: DatabaseSettings, name: DeviceName, lasts: timedelta, echo: _Print
) -> None:
    """Print a token with which this device alone gets its first certificate, once."""
    token, who = new_secret(), operator(operator_name())
    with operator_transaction(settings) as connection:
        token_id = add_token(connection, digest(token), name, who.id, lasts)
        event = Event("add-token", "enrolment-token", token_id, str(name), site=name.site)
        record_event(connection, who, event)
    echo(token)


def revoke_device(settings: DatabaseSettings, name: DeviceName, why: str, echo: _Print) -> None:
    """Let no certificate of a device renew itself any more, and no token of it be used.

    Raises:
        PermanentError: `no-certificate`; nothing has changed.
    """
    who = operator(operator_name())
    with operator_transaction(settings) as connection:
        revoked = revoke_certificates(connection, name)
        if not revoked:
            raise PermanentError("no-certificate", f"{name} has no certificate to revoke")
        for certificate_id in revoked:
            event = Event("revoke", "device-certificate", certificate_id, why, site=name.site)
            record_event(connection, who, event)
    echo(
        f"{name}: {len(revoked)} certificates revoked. They renew nothing from now on; a broker "
        "whose lists `est` keeps cuts the device off in a few seconds."
    )


def est_server(settings: EstSettings) -> EstServer:
    """Return a server that listens; the engine is the caller's to dispose of.

    Raises:
        PermanentError: `bad-authority`, `bad-certificate` or `cannot-listen`.
    """
    authority = load_authority(settings.authority)
    engine = make_engine(settings.database_url.get_secret_value(), principal=EST)
    lifetime = timedelta(seconds=settings.certificate_s)
    issuing = Issuing(engine, authority, lifetime, timedelta(seconds=settings.renewal_grace_s))
    return EstServer(settings.host, settings.port, settings.authority, issuing)


def serve_est(settings: EstSettings) -> None:
    """Issue certificates until told to stop."""
    server = est_server(settings)
    issuing = server.issuing
    on_stop_signal(server.shutdown)
    try:
        with broker_lists(settings, issuing.engine, issuing.authority):
            server.serve_forever()
    finally:
        server.server_close()
        issuing.engine.dispose()


@contextmanager
def broker_lists(
    settings: EstSettings, engine: Engine, authority: Authority
) -> Iterator[BrokerLists | None]:
    """Keep a broker's lists of revoked certificates, where the settings name a folder for them.

    Raises:
        PermanentError: `bad-broker-lists`.
    """
    if settings.broker_lists is None:
        yield None
        return
    lists = BrokerLists(settings.broker_lists, engine, authority)
    lists.start()
    try:
        yield lists
    finally:
        lists.stop()
        lists.join()
