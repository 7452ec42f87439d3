"""Whether a process can work with the database that it was given: at its start, and when asked."""

import logging
import re
from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_shared.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)

_REFUSED = re.compile(
    r"password authentication failed|no password supplied|does not exist"
    r"|not permitted to log in|no pg_hba\.conf entry"
)
_PASSES = re.compile(r"too many|connection slots|starting up|shutting down|recovery")


def database_problem(engine: Engine) -> str | None:
    """Say what is wrong with the database, for a readiness check."""
    try:
        with unit_of_work(engine) as connection:
            return _schema_problem(connection)
    except TransientError as error:
        return str(error)


def check_at_start(url: str) -> None:
    """Refuse a database that waiting does not mend; tell of one that must still be migrated.

    A server that is away is no reason not to start: every process waits for it.

    Raises:
        PermanentError: As `refuse_unusable`; `database-role-unrestricted` and `bad-settings`.
    """
    engine = make_engine(url, pool_size=1)
    try:
        refuse_unusable(engine)
        _refuse_unrestricted(engine)
        if problem := database_problem(engine):
            logger.warning("%s", problem)
    except TransientError as error:
        logger.warning("waiting for the database: %s", error)
    finally:
        engine.dispose()


def refuse_unusable(engine: Engine) -> None:
    """Ask the server whether it takes us and can hold every text.

    Only at a start: a running process waits, for its password may be in the middle of a change.

    Raises:
        PermanentError: `database-refuses-us` or `database-encoding`.
        TransientError: `database-unavailable`; it is away.
    """
    try:
        with unit_of_work(engine) as connection:
            _refuse_encoding(connection)
    except TransientError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError) and _is_refusal(cause.orig):
            raise PermanentError(
                "database-refuses-us",
                f"{_last_part(str(cause.orig))}: check user, password and database name in "
                f"HEMALINE_DATABASE_URL (the server is {engine.url.host or 'a local socket'})",
            ) from error
        raise


def _is_refusal(error: object) -> bool:
    """Whether a server answered and wants none of us, whatever language it speaks."""
    connection = getattr(error, "pgconn", None)  # psycopg's, of a connection that failed
    if connection is None or _PASSES.search(str(error)):
        return False
    asked = connection.needs_password or connection.used_password
    return bool(asked or _REFUSED.search(str(error)))


def _refuse_encoding(connection: Connection) -> None:
    encoding = connection.execute(text("show server_encoding")).scalar_one()
    if encoding != "UTF8":
        name = connection.engine.url.database
        raise PermanentError(
            "database-encoding",
            f"the database {name} has the encoding {encoding}, and Hemaline needs UTF8: make a new "
            f"one with `createdb --encoding=UTF8 --template=template0 {name}`",
        )


def _refuse_unrestricted(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        role = connection.execute(
            text(
                "select rolname from pg_roles"
                " where rolname = current_user and (rolsuper or rolbypassrls)"
            )
        ).scalar()
    if role:
        raise PermanentError(
            "database-role-unrestricted",
            f"the role {role} in HEMALINE_DATABASE_URL is bound by no policy, so nothing would "
            "keep the sites apart: let it be hemaline_application, or a member of that role",
        )


def _schema_problem(connection: Connection) -> str | None:
    """Say that the schema is older than this version's; a newer one only has more."""
    there = None
    if connection.execute(text("select to_regclass('alembic_version')")).scalar_one():
        there = connection.execute(text("select max(version_num) from alembic_version")).scalar()
    newest, known = _revisions()
    if there is None:
        return "the database was never migrated: run `hemaline-cloud migrate`"
    if there != newest and there in known:
        return (
            f"the database has the schema {there}, and this version needs {newest}: "
            "run `hemaline-cloud migrate`"
        )
    return None


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """Return this version's newest migration, and all that it knows."""
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return scripts.get_current_head(), known


def _last_part(complaint: str) -> str:
    """Return the server's own words, without the driver's way to them."""
    return (
        complaint.strip().splitlines()[0].rpartition("failed: ")[2].removeprefix("FATAL:").strip()
    )
