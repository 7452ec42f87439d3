"""People add white cells that the finder missed, and take them back."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0072"
down_revision = "0071"

_STATEMENTS = (
    """
    create table added_cells (
        act_id uuid not null constraint pk_added_cells primary key,
        added_cell_id uuid not null,
        frame_id uuid not null
            constraint fk_added_cells_frame_id_fields references fields (frame_id),
        slide_id uuid not null
            constraint fk_added_cells_slide_id_slides references slides (slide_id),
        site varchar not null,
        reading integer not null,
        "left" integer not null,
        top integer not null,
        "right" integer not null,
        bottom integer not null,
        label varchar,
        by varchar not null,
        by_name varchar not null,
        at timestamptz not null default now()
    )
    """,
    """
    create unique index uq_added_cells_added on added_cells (added_cell_id)
        where label is not null
    """,
    """
    create unique index uq_added_cells_taken_back on added_cells (added_cell_id)
        where label is null
    """,
    "create index ix_added_cells_slide_id on added_cells (slide_id)",
    """
    create trigger append_only before update or delete or truncate on added_cells
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on added_cells from hemaline_application",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    restrict_to_sites("added_cells")
    op.execute(
        "create policy not_before_the_second_reading on added_cells"
        " as restrictive for select using (may_know(slide_id, by))"
    )
