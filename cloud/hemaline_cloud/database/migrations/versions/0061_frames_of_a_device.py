"""Find the newest frames of a device."""

from hemaline_cloud.database.migrations.steps import build_index

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    build_index("ix_frames_device", "frames (site, device, received_at)")
