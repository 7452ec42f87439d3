"""Let everybody see the rows of their own sites alone, and processes work under a role for it."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_principals, restrict_to_sites

revision = "0025"
down_revision = "0024"

# Roles belong to the whole server: another database of it may have made this one, just now even.
_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'hemaline_application') then
        create role hemaline_application login;
    end if;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise insufficient_privilege using message =
            'let an administrator run `create role hemaline_application login`, then migrate again';
end
$$
"""
_LATER = "alter default privileges in schema public"
_GRANTS = (
    "grant usage on schema public to hemaline_application",
    "grant select, insert, update, delete on all tables in schema public to hemaline_application",
    "revoke insert, update, delete on alembic_version from hemaline_application",
    "revoke update, delete on audit_events, audit_seals from hemaline_application",
    "grant usage, select on all sequences in schema public to hemaline_application",
    # What later migrations make.
    f"{_LATER} grant select, insert, update, delete on tables to hemaline_application",
    f"{_LATER} grant usage, select on sequences to hemaline_application",
)

# Stable, and called in sub-selects: once a statement, not once a row.
_PRINCIPAL = (
    """
    create function visible_sites() returns text[] language sql stable parallel safe
    return string_to_array(nullif(current_setting('hemaline.sites', true), ''), ',')
    """,
    """
    create function sees_every_site() returns boolean language sql stable parallel safe
    return coalesce(current_setting('hemaline.sites', true), '') = '*'
    """,
    """
    create function has_principal() returns boolean language sql stable parallel safe
    return coalesce(current_setting('hemaline.principal', true), '') <> ''
    """,
)

_OF_SITES = (
    "devices",
    "slides",
    "frames",
    "fields",
    "cells",
    "work",
    "cell_predictions",
    "field_predictions",
    "slide_results",
    "dead_letters",
    "audit_events",
    "outbox",
)


def upgrade() -> None:
    for statement in (_ROLE, *_PRINCIPAL):
        op.execute(statement)
    for table in _OF_SITES:
        restrict_to_sites(table)
    for table in ("bundles", "audit_seals"):
        restrict_to_principals(table)
    for statement in _GRANTS:
        op.execute(statement)
