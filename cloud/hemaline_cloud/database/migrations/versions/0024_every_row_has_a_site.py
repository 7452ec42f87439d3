"""Let no row be without a site: the check is validated first, so that no lock waits for a scan."""

from alembic import op

revision = "0024"
down_revision = "0023"

_TABLES = (
    "fields",
    "cells",
    "work",
    "field_predictions",
    "cell_predictions",
    "slide_results",
    "dead_letters",
)


def upgrade() -> None:
    # All scans come before the first lock that somebody else would wait for.
    for table in _TABLES:
        op.execute(f"alter table {table} validate constraint ck_{table}_site")
    for table in _TABLES:
        op.execute(f"alter table {table} alter column site set not null")
        op.execute(
            "-- squawk-ignore ban-drop-constraint\n"
            f"alter table {table} drop constraint ck_{table}_site"
        )
    for rows in ("fields", "results", "letters"):
        op.execute(
            "-- squawk-ignore ban-drop-function\n"
            f"drop function if exists fill_sites_of_{rows}(uuid[])"
        )
