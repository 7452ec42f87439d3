"""Keep the answers of every task, of whole fields too, the networks' disagreement and heat maps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "field_predictions",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("bundle_sha256", sa.String(), nullable=False),
        sa.Column("probabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["bundle_sha256"],
            ["bundles.sha256"],
            name=op.f("fk_field_predictions_bundle_sha256_bundles"),
        ),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["fields.frame_id"], name=op.f("fk_field_predictions_frame_id_fields")
        ),
        sa.PrimaryKeyConstraint("frame_id", "bundle_sha256", name=op.f("pk_field_predictions")),
    )
    op.add_column("cell_predictions", sa.Column("disagreement", sa.Double(), nullable=True))
    op.add_column("cell_predictions", sa.Column("heat_map", sa.LargeBinary(), nullable=True))
    op.add_column("cell_predictions", sa.Column("heat_map_width", sa.Integer(), nullable=True))
    op.create_check_constraint(
        op.f("ck_cell_predictions_heat_map"),
        "cell_predictions",
        "(heat_map is null) = (heat_map_width is null)",
    )
    # Until now there was one question, and each network's answer to it stood alone.
    op.execute(
        "update cell_predictions"
        " set probabilities = jsonb_build_object('cell-class', probabilities)"
        " where probabilities is not null"
    )
