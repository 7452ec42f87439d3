"""Let people appoint the bundle whose answers count, and one that is only tried."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_principals, restrict_to_sites

revision = "0039"
down_revision = "0038"

_APPOINTMENTS = """
create table bundle_appointments (
    appointment_id uuid not null constraint pk_bundle_appointments primary key,
    for_site varchar,
    purpose varchar not null constraint ck_bundle_appointments_purpose
        check (purpose in ('active', 'trial')),
    bundle integer
        constraint fk_bundle_appointments_bundle_bundles references bundles (number),
    since timestamptz not null,
    appointed_by varchar not null,
    constraint ck_bundle_appointments_bundle check (bundle is not null or purpose = 'trial')
)
"""
_APPEND_ONLY = """
create trigger append_only before update or delete or truncate on bundle_appointments
    for each statement execute function refuse_change()
"""

# What counted until now counts on; whoever migrates finds it said.
_FIRST = """
with appointed as (
    insert into bundle_appointments (appointment_id, purpose, bundle, since, appointed_by)
    select gen_random_uuid(), 'active', number, now(), 'migrate'
    from bundles order by first_used_at desc, sha256 limit 1
    returning appointment_id, bundle
)
insert into audit_events (event_id, actor, actor_name, action, subject, subject_id, detail)
select gen_random_uuid(), 'service:migrate', 'migrate', 'appoint', 'bundle-appointment',
    appointment_id, 'active for all sites: ' || bundles.sha256 || ', the newest by first use'
from appointed join bundles on bundles.number = appointed.bundle
"""
_APPOINTED = """
create function appointed_bundle(of_site varchar, for_purpose varchar) returns integer
language sql stable as $$
    select bundle from bundle_appointments
    where purpose = for_purpose and (for_site is null or for_site = of_site)
    order by since desc, appointment_id desc limit 1
$$
"""
_TRIALS = """
create table trial_judgements (
    frame_id uuid not null constraint fk_trial_judgements_frame_id_fields references fields,
    bundle integer not null
        constraint fk_trial_judgements_bundle_bundles references bundles (number),
    site varchar not null,
    judged_at timestamptz not null default now(),
    constraint pk_trial_judgements primary key (frame_id, bundle)
)
"""
_SITE = (
    """
    create function site_of_trial_judgements() returns trigger language plpgsql as $$
    begin
        new.site = (select site from frames where frame_id = new.frame_id);
        return new;
    end
    $$
    """,
    """
    create trigger site_follows before insert on trial_judgements for each row
        when (new.site is null) execute function site_of_trial_judgements()
    """,
)
_PURPOSE = (
    "alter table work add column purpose varchar not null default 'active'",
    """
    alter table work add constraint ck_work_purpose
        check (purpose in ('active', 'trial')) not valid
    """,
)


# A field may wait for both purposes, and one of its rows be locked.
_HURRY = """
create or replace function hurry_queued_fields() returns trigger language plpgsql as $$
begin
    update work set priority = work_priority(new.urgency, new.priority)
    where (frame_id, purpose) in (
        select work.frame_id, work.purpose
        from work join frames on frames.frame_id = work.frame_id
        where frames.slide_id = new.slide_id
            and work.priority > work_priority(new.urgency, new.priority)
        for update of work skip locked
    );
    return null;
end
$$
"""


def upgrade() -> None:
    for statement in (_APPOINTMENTS, _APPEND_ONLY, _FIRST, _APPOINTED, _TRIALS, *_SITE, *_PURPOSE):
        op.execute(statement)
    op.execute(_HURRY)
    # Who answers for whom is nobody's secret.
    restrict_to_principals("bundle_appointments")
    restrict_to_sites("trial_judgements")
