"""A specimen can be erased: what stays is that it was, and which objects must still be deleted."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0088"
down_revision = "0075"

_TABLES = (
    """
    create table erased_slides (
        slide_id uuid not null constraint pk_erased_slides primary key,
        specimen_id uuid not null,
        site varchar not null,
        fields integer not null,
        by varchar not null,
        by_name varchar not null,
        at timestamptz not null default now()
    )
    """,
    "create index ix_erased_slides_specimen_id on erased_slides (specimen_id)",
    """
    create table object_deletions (
        object_key varchar not null constraint pk_object_deletions primary key,
        specimen_id uuid not null,
        site varchar not null,
        sha256 varchar not null,
        asked_at timestamptz not null default now(),
        done_at timestamptz
    )
    """,
    """
    create index ix_object_deletions_waiting on object_deletions (object_key)
        where done_at is null
    """,
    """
    create table legal_holds (
        hold_id uuid not null constraint pk_legal_holds primary key,
        specimen_id uuid not null,
        site varchar not null,
        reason varchar not null,
        by varchar not null,
        by_name varchar not null,
        at timestamptz not null default now(),
        released_at timestamptz,
        released_by_name varchar
    )
    """,
    """
    create unique index uq_legal_holds_specimen_id on legal_holds (specimen_id)
        where released_at is null
    """,
    """
    create trigger append_only before update or delete or truncate on erased_slides
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on erased_slides from hemaline_application",
    "revoke delete on object_deletions, legal_holds from hemaline_application",
)

_FUNCTIONS = (
    # Only `erase_slides` deletes what is only ever added: it runs as the owner, for one who is not.
    """
    create or replace function refuse_change() returns trigger language plpgsql as $$
    begin
        if tg_op = 'DELETE' and current_user <> session_user
            and tg_table_name not in ('audit_events', 'audit_seals', 'erased_slides')
            and current_setting('hemaline.erasing', true) = txid_current()::text
        then
            return null;
        end if;
        raise exception 'rows of % are only ever added', tg_table_name
            using errcode = 'integrity_constraint_violation';
    end
    $$
    """,
    # The owner may be one whom no policy binds: so the sites are asked for here.
    """
    create function erase_slides(of_specimen uuid) returns void
    language plpgsql security definer set search_path = public, pg_temp as $$
    declare
        gone uuid[];
        frames_gone uuid[];
        orders_gone uuid[];
        patients_gone uuid[];
    begin
        select array_agg(slide_id) into gone from slides
            where specimen_id = of_specimen
                and (sees_every_site() or site = any ((select visible_sites())::text[]));
        select array_agg(frame_id) into frames_gone from frames where slide_id = any (gone);
        select array_agg(distinct order_id) into orders_gone from order_links
            where slide_id = any (gone);
        select array_agg(distinct patient_id) into patients_gone from orders
            where order_id = any (orders_gone);
        perform set_config('hemaline.erasing', txid_current()::text, true);
        update slides set review = 'unfit', revision = null, order_id = null
            where slide_id = any (gone);
        delete from comments where slide_id = any (gone);
        delete from cell_labels where slide_id = any (gone);
        delete from seen_cells where slide_id = any (gone);
        delete from seen_fields where slide_id = any (gone);
        delete from morphology_assessments where slide_id = any (gone);
        delete from readings where slide_id = any (gone);
        delete from added_cells where slide_id = any (gone);
        delete from signed_classes where signature_id in
            (select signature_id from signatures where slide_id = any (gone));
        delete from order_links where slide_id = any (gone);
        delete from signatures where slide_id = any (gone);
        delete from result_revisions where slide_id = any (gone);
        delete from cell_predictions where frame_id = any (frames_gone);
        delete from field_predictions where frame_id = any (frames_gone);
        delete from field_looks where frame_id = any (frames_gone);
        delete from trial_judgements where frame_id = any (frames_gone);
        delete from work where frame_id = any (frames_gone);
        delete from cells where frame_id = any (frames_gone);
        delete from fields where frame_id = any (frames_gone);
        delete from frames where slide_id = any (gone);
        delete from slides where slide_id = any (gone);
        delete from orders where order_id = any (orders_gone)
            and not exists (select from order_links where order_links.order_id = orders.order_id);
        delete from patients where patient_id = any (patients_gone)
            and not exists (select from orders where orders.patient_id = patients.patient_id);
        perform set_config('hemaline.erasing', '', true);
    end
    $$
    """,
    "revoke execute on function erase_slides(uuid) from public",
    "grant execute on function erase_slides(uuid) to hemaline_application",
    # A device that sends again, or an operator who replays, must not bring it back.
    """
    create function refuse_erased() returns trigger language plpgsql as $$
    begin
        if exists (select from erased_slides where erased_slides.slide_id = new.slide_id) then
            raise exception 'slide % was erased', new.slide_id
                using errcode = 'integrity_constraint_violation';
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger refuse_erased before insert on slides
        for each row execute function refuse_erased()
    """,
)


def upgrade() -> None:
    for statement in (*_TABLES, *_FUNCTIONS):
        op.execute(statement)
    for table in ("erased_slides", "object_deletions", "legal_holds"):
        restrict_to_sites(table)
