"""Find the cells of a class that people have named, the newest first."""

from hemaline_cloud.database.migrations.steps import build_index

revision = "0090"
down_revision = "0088"


def upgrade() -> None:
    build_index(
        "ix_cell_labels_references",
        "cell_labels (site, label, label_id) where label is not null and reading = 1",
    )
