"""Write what readers hear of into an outbox, so that nothing is missed while nobody listens."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

# One row of a kind and a thing for each transaction, however many statements it has.
_SLIDES = """
create or replace function notify_of_slides() returns trigger language plpgsql as $$
begin
    insert into outbox (site, kind, subject_id)
    select site, 'slide', slide_id from slides
    where slide_id in (select slide_id from changed_rows) and not exists (
        select from outbox
        where transaction = transaction_number() and kind = 'slide'
            and subject_id = slides.slide_id
    );
    return null;
end
$$
"""
_DEVICES = """
create function notify_of_devices() returns trigger language plpgsql as $$
begin
    insert into outbox (site, kind)
    select distinct site, 'devices' from changed_rows
    where not exists (
        select from outbox
        where transaction = transaction_number() and kind = 'devices'
            and outbox.site = changed_rows.site
    );
    return null;
end
$$
"""
_DEAD_LETTERS = """
create function notify_of_dead_letters() returns trigger language plpgsql as $$
begin
    insert into outbox (kind)
    select 'dead-letters'
    where not exists (
        select from outbox where transaction = transaction_number() and kind = 'dead-letters'
    );
    return null;
end
$$
"""
_WAKE = """
create function wake_readers() returns trigger language plpgsql as $$
begin
    perform pg_notify('hemaline', '');
    return null;
end
$$
"""


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("transaction_number()"),
            nullable=False,
        ),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("transaction", "number", name=op.f("pk_outbox")),
    )
    for statement in (_SLIDES, _DEVICES, _DEAD_LETTERS, _WAKE):
        op.execute(statement)
    op.execute(
        "create trigger wake_readers after insert on outbox"
        " for each statement execute function wake_readers()"
    )
    for table in ("devices", "dead_letters"):
        op.execute(f"drop trigger notify_of_change on {table}")
    for event in ("insert", "update"):
        op.execute(
            f"create trigger notify_of_{event} after {event} on devices"
            " referencing new table as changed_rows"
            " for each statement execute function notify_of_devices()"
        )
    op.execute(
        "create trigger notify_of_change after insert or update on dead_letters"
        " for each statement execute function notify_of_dead_letters()"
    )
    op.execute("-- squawk-ignore ban-drop-function\ndrop function notify_of_table()")
