"""The connection to PostgreSQL: a pool, timeouts, one transaction of one principal."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hemaline_cloud.principal import ALL_SITES, Principal
from hemaline_shared.errors import PermanentError, TransientError

STATEMENT_TIMEOUT_S = 30.0
"""For so long may a statement take, unless a process says otherwise."""

_PRINCIPAL = "hemaline_principal"
_SET_PRINCIPAL = (
    "select set_config('hemaline.sites', %s, true), set_config('hemaline.principal', %s, true)"
)
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_CONNECT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 10


def make_engine(
    url: str,
    *,
    principal: Principal | None = None,
    pool_size: int = 5,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    lock_timeout_s: float = 0,
    prepared: bool = True,
    ping: bool = True,
) -> Engine:
    """Return an engine for a `postgresql://` URL; it connects when first used.

    Args:
        url: Where the database is. It may hold a password, so it is never logged.
        principal: Who the process is; its transactions are this principal's unless they name one.
        pool_size: Connections at most.
        statement_timeout_s: After this time the server gives a statement up; 0: never.
        lock_timeout_s: After this time it gives up waiting for a lock; 0: never.
        prepared: Keep plans of statements that come again. A plan for any value is a bad one where
            values differ much in how many rows they find, as words that people search for do.
        ping: Try a connection before each transaction: a restarted server costs one round trip, not
            a failed request. For whoever repeats a failed transaction it is one too many.

    Raises:
        PermanentError: `bad-settings`, when it is no such URL.
    """
    timeouts = {"statement_timeout": statement_timeout_s, "lock_timeout": lock_timeout_s}
    options = "".join(f" -c {name}={round(value * 1000)}" for name, value in timeouts.items())
    engine = create_engine(
        _checked(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_pre_ping=ping,
        hide_parameters=True,  # rows in an exception would end in a log
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "client_encoding": "utf8",  # whatever the database's own is, text is text
            "application_name": "hemaline",
            "prepare_threshold": 5 if prepared else None,
            # A dead peer is noticed in half a minute, not in the kernel's two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "options": f"-c idle_in_transaction_session_timeout=60000 -c timezone=UTC{options}",
        },
    )
    event.listen(engine, "connect", _send_arrays_in_binary)
    event.listen(engine, "begin", _set_principal)
    return engine if principal is None else of_principal(engine, principal)


def _send_arrays_in_binary(connection: psycopg.Connection[object], _record: object) -> None:
    """Spare a fifth of what the insertion of many rows costs: as text, each value is quoted."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


def _checked(url: str) -> URL:
    """Return the URL's parts; no message repeats it, for it may hold a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        raise PermanentError(
            "bad-settings",
            "HEMALINE_DATABASE_URL is no address of a PostgreSQL server:"
            " write postgresql://user:password@host:5432/database",
        )
    return parsed


@contextmanager
def unit_of_work(engine: Engine, principal: Principal | None = None) -> Iterator[Connection]:
    """Open one transaction: committed at the end, rolled back by any exception.

    Args:
        engine: Where to.
        principal: Whose transaction it is; None: the engine's own. PostgreSQL forgets it with the
            transaction, and one without a principal sees nothing that belongs to a site.

    Raises:
        TransientError, PermanentError: As `database_errors` does; nothing of the transaction is
            certain.
    """
    if principal is not None:
        engine = of_principal(engine, principal)
    with database_errors(), engine.begin() as connection:
        yield connection


def sites_of_principal(connection: Connection) -> tuple[str, ...] | None:
    """Return the sites that a transaction sees; None: all of them."""
    principal = connection.get_execution_options().get(_PRINCIPAL)
    if not isinstance(principal, Principal):
        return ()
    return None if principal.sites is ALL_SITES else tuple(sorted(principal.sites))


def id_of_principal(connection: Connection) -> str:
    """Return whose a transaction is."""
    principal = connection.get_execution_options().get(_PRINCIPAL)
    assert isinstance(principal, Principal), "whoever lists slides is somebody"
    return principal.id


def of_principal(engine: Engine, principal: Principal) -> Engine:
    """Return the engine with transactions that are this principal's."""
    return engine.execution_options(**{_PRINCIPAL: principal})


def _set_principal(connection: Connection) -> None:
    principal = connection.get_execution_options().get(_PRINCIPAL)
    if principal is None:
        return
    assert isinstance(principal, Principal)
    sites = ALL_SITES.value if principal.sites is ALL_SITES else ",".join(sorted(principal.sites))
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with pipelined(connection):  # together with `begin`, so it costs no round trip of its own
        driver.execute(_SET_PRINCIPAL, (sites, principal.id))


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send statements that return nothing one after another, and wait once for all of them.

    Raises:
        As a statement does; which of them failed is not told.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as error:
        # At the end it is psycopg's own error, which the engine has not seen.
        broken = driver.closed
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, connection_invalidated=broken, dialect=_DIALECT
        ) from error


@contextmanager
def database_errors() -> Iterator[None]:
    """Tell trouble that passes from values that no repetition makes right.

    Raises:
        TransientError: `database-unavailable`, `database-not-migrated`, `database-forbids`; the
            role lacks a right, or the row is none of the principal's.
        PermanentError: `unstorable`; the values break a type or a constraint.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise TransientError(
            "database-unavailable", "every connection to PostgreSQL is in use"
        ) from error
    except (DataError, IntegrityError) as error:
        raise PermanentError("unstorable", _first_line(error)) from error
    except (OperationalError, InterfaceError, InternalError) as error:
        raise TransientError("database-unavailable", _first_line(error)) from error
    except ProgrammingError as error:
        if _is_forbidden(error):
            raise TransientError("database-forbids", _first_line(error)) from error
        if not _schema_is_missing(error):
            raise
        # Another process is migrating, or will: started again, this transaction succeeds.
        raise TransientError(
            "database-not-migrated",
            f"{_first_line(error)}; run `hemaline-cloud migrate`",
        ) from error


def _first_line(error: DBAPIError) -> str:
    return f"PostgreSQL: {str(error.orig).strip().splitlines()[0]}"


def _schema_is_missing(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", None) in {"42P01", "42703", "42883"}


def _is_forbidden(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42501"
