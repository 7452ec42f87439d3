"""Keep, of each signature, how the reader called the cells that the model called so."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0071"
down_revision = "0070"

_STATEMENTS = (
    """
    create table signed_classes (
        signature_id uuid not null
            constraint fk_signed_classes_signature_id_signatures
            references signatures (signature_id),
        model_class varchar not null,
        reader_class varchar not null,
        site varchar not null,
        device varchar not null,
        bundle integer not null
            constraint fk_signed_classes_bundle_bundles references bundles (number),
        machine_hidden boolean not null,
        signed_at timestamptz not null,
        cells integer not null,
        constraint pk_signed_classes primary key (signature_id, model_class, reader_class)
    )
    """,
    "create index ix_signed_classes_signed_at on signed_classes (signed_at)",
    """
    create trigger append_only before update or delete or truncate on signed_classes
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on signed_classes from hemaline_application",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    restrict_to_sites("signed_classes")
