"""Find the slides of an order by an index."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    build_index("ix_slides_order_id", "slides (order_id) where order_id is not null")
    op.execute("alter table slides validate constraint fk_slides_order_id_orders")
