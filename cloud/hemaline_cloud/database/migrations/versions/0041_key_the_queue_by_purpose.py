"""Name a row of the queue by its field and its purpose."""

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    # An ingest of before inserts what is not there yet, whatever the key.
    op.execute("-- squawk-ignore ban-drop-constraint\nalter table work drop constraint pk_work")
    op.execute(
        "alter table work add constraint pk_work primary key using index uq_work_frame_id_purpose"
    )
