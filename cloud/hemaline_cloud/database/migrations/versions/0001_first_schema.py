"""The first schema: slides, the ledger of frames, the work queue, results, dead letters."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("bundle_id", sa.String(), nullable=False),
        sa.Column("trained", sa.Boolean(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_used_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_bundles")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("dead_letter_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dead_letter_id", name=op.f("pk_dead_letters")),
    )
    op.create_index(
        op.f("ix_dead_letters_received_at_dead_letter_id"),
        "dead_letters",
        ["received_at", "dead_letter_id"],
        unique=False,
    )
    op.create_table(
        "devices",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("edge_version", sa.String(), nullable=False),
        sa.Column("status_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("telemetry", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("telemetry_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("site", "device", name=op.f("pk_devices")),
    )
    op.create_table(
        "slides",
        sa.Column("slide_id", sa.Uuid(), nullable=False),
        sa.Column("specimen_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("opened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("frames_expected", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("slide_id", name=op.f("pk_slides")),
    )
    op.create_index(
        op.f("ix_slides_opened_at_slide_id"), "slides", ["opened_at", "slide_id"], unique=False
    )
    op.create_table(
        "frames",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("slide_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("edge_version", sa.String(), nullable=False),
        sa.Column("captured_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("quality", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=True),
        sa.Column("settled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state in ('rejected', 'quarantined')) = (reason is not null)",
            name=op.f("ck_frames_reason"),
        ),
        sa.CheckConstraint(
            "state in ('pending', 'result', 'rejected', 'quarantined')",
            name=op.f("ck_frames_state"),
        ),
        sa.ForeignKeyConstraint(
            ["slide_id"], ["slides.slide_id"], name=op.f("fk_frames_slide_id_slides")
        ),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_frames")),
    )
    op.create_index(op.f("ix_frames_slide_id_state"), "frames", ["slide_id", "state"], unique=False)
    op.create_table(
        "slide_results",
        sa.Column("slide_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("computed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("bundle_sha256", sa.String(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["bundle_sha256"],
            ["bundles.sha256"],
            name=op.f("fk_slide_results_bundle_sha256_bundles"),
        ),
        sa.ForeignKeyConstraint(
            ["slide_id"], ["slides.slide_id"], name=op.f("fk_slide_results_slide_id_slides")
        ),
        sa.PrimaryKeyConstraint("slide_id", name=op.f("pk_slide_results")),
    )
    op.create_table(
        "fields",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("um_per_px", sa.Double(), nullable=False),
        sa.Column("scale_source", sa.String(), nullable=False),
        sa.Column("pixel_pipeline", sa.String(), nullable=False),
        sa.Column("finder", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("object_size", sa.Integer(), nullable=False),
        sa.Column("object_sha256", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.frame_id"], name=op.f("fk_fields_frame_id_frames")
        ),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_fields")),
    )
    op.create_table(
        "cells",
        sa.Column("cell_id", sa.Uuid(), nullable=False),
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.Column("bottom", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["fields.frame_id"], name=op.f("fk_cells_frame_id_fields")
        ),
        sa.PrimaryKeyConstraint("cell_id", name=op.f("pk_cells")),
        sa.UniqueConstraint("frame_id", "index", name=op.f("uq_cells_frame_id_index")),
    )
    op.create_table(
        "work",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["fields.frame_id"], name=op.f("fk_work_frame_id_fields")
        ),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_work")),
    )
    op.create_index(
        op.f("ix_work_priority_enqueued_at"), "work", ["priority", "enqueued_at"], unique=False
    )
    op.create_table(
        "cell_predictions",
        sa.Column("cell_id", sa.Uuid(), nullable=False),
        sa.Column("bundle_sha256", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("probabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(probability is null) = (probabilities is null)",
            name=op.f("ck_cell_predictions_probability"),
        ),
        sa.ForeignKeyConstraint(
            ["bundle_sha256"],
            ["bundles.sha256"],
            name=op.f("fk_cell_predictions_bundle_sha256_bundles"),
        ),
        sa.ForeignKeyConstraint(
            ["cell_id"], ["cells.cell_id"], name=op.f("fk_cell_predictions_cell_id_cells")
        ),
        sa.PrimaryKeyConstraint("cell_id", "bundle_sha256", name=op.f("pk_cell_predictions")),
    )
