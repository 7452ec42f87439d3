"""Take away the column that held the looks.

A worker of the version before finds it missing, which is trouble that passes: it waits, and its
leases expire to a worker of this version.
"""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.execute("drop trigger copy_look on fields")
    for function in ("copy_look()", "move_looks(uuid[])"):
        op.execute(f"-- squawk-ignore ban-drop-function\ndrop function {function}")
    op.execute("-- squawk-ignore ban-drop-column\nalter table fields drop column look")
