"""People grade the red cells and platelets of a slide."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0067"
down_revision = "0063"

_STATEMENTS = (
    """
    create table morphology_assessments (
        assessment_id uuid not null constraint pk_morphology_assessments primary key,
        slide_id uuid not null
            constraint fk_morphology_assessments_slide_id_slides references slides (slide_id),
        site varchar not null,
        version integer not null,
        content jsonb not null,
        by varchar not null,
        by_name varchar not null,
        at timestamptz not null default now()
    )
    """,
    """
    create unique index uq_morphology_assessments_version
        on morphology_assessments (slide_id, version)
    """,
    """
    create trigger append_only before update or delete or truncate on morphology_assessments
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on morphology_assessments from hemaline_application",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    restrict_to_sites("morphology_assessments")
    op.execute(
        "create policy not_before_the_second_reading on morphology_assessments"
        " as restrictive for select using (may_know(slide_id, by))"
    )
