"""Take away the column of the heat maps of a byte a square.

A worker of the version before finds it missing, which is trouble that passes: it waits, and its
leases expire to a worker of this version.
"""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.execute("drop trigger pack_heat_map on cell_predictions")
    for function in ("pack_new_heat_map()", "pack_heat_maps(uuid[])", "pack_heat(bytea)"):
        op.execute(f"-- squawk-ignore ban-drop-function\ndrop function {function}")
    op.execute(
        "-- squawk-ignore ban-drop-column\nalter table cell_predictions drop column heat_map"
    )
