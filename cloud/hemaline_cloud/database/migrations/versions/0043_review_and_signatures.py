"""Keep on the slide how far its review is, and signatures that name one revision."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0043"
down_revision = "0042"

_SLIDES = (
    """
    alter table slides add column review varchar not null default 'receiving',
        add column changed_since_signing boolean not null default false
    """,
    """
    alter table slides add constraint ck_slides_review check (review in
        ('receiving', 'ready', 'in-review', 'awaiting-second-reader', 'signed', 'amended', 'unfit')
    ) not valid
    """,
)
_SIGNATURES = (
    """
    create table signatures (
        signature_id uuid not null constraint pk_signatures primary key,
        slide_id uuid not null,
        site varchar not null,
        revision integer not null,
        signed_by varchar not null,
        signed_by_name varchar not null,
        signed_at timestamptz not null default now(),
        amends uuid,
        reason varchar,
        policy_version integer not null,
        report varchar not null,
        report_sha256 varchar not null,
        constraint fk_signatures_revision_result_revisions
            foreign key (slide_id, revision) references result_revisions (slide_id, revision),
        constraint fk_signatures_amends_signatures
            foreign key (amends) references signatures (signature_id),
        constraint ck_signatures_reason check ((amends is null) = (reason is null))
    )
    """,
    "create index ix_signatures_slide_id_revision on signatures (slide_id, revision)",
    # One signature begins, and each further one amends the one before.
    "create unique index uq_signatures_slide_id on signatures (slide_id) where amends is null",
    "create unique index uq_signatures_amends on signatures (amends)",
    """
    create trigger append_only before update or delete or truncate on signatures
        for each statement execute function refuse_change()
    """,
    """
    create trigger site_follows before insert on signatures for each row
        when (new.site is null) execute function site_of_slide()
    """,
)

# Urgency rises by itself; only a person lowers it. What was signed stays as it was.
_SHOW_REVISION = """
create or replace function show_revision_on_slide() returns trigger language plpgsql as $$
begin
    update slides
    set revision = new.revision,
        urgency = greatest(slides.urgency, (new.content ->> 'urgency')::smallint),
        cells = coalesce((new.content ->> 'cells')::bigint, 0),
        changed_since_signing = exists (
            select 1 from signatures where signatures.slide_id = new.slide_id
        )
    where slide_id = new.slide_id;
    return null;
end
$$
"""
_SHOW_SIGNATURE = (
    """
    create function show_signature_on_slide() returns trigger language plpgsql as $$
    begin
        update slides set changed_since_signing = slides.revision > (
            select max(signatures.revision) from signatures
            where signatures.slide_id = new.slide_id
        )
        where slide_id = new.slide_id;
        return null;
    end
    $$
    """,
    """
    create trigger show_on_slide after insert on signatures
        for each row execute function show_signature_on_slide()
    """,
)
_READY = """
create function ready_slides(chosen uuid[]) returns void language sql as $$
    update slides set review = 'ready'
    where slide_id = any(chosen) and state = 'complete' and review = 'receiving'
$$
"""


def upgrade() -> None:
    for statement in (*_SLIDES, *_SIGNATURES, _SHOW_REVISION, *_SHOW_SIGNATURE, _READY):
        op.execute(statement)
    restrict_to_sites("signatures")
