"""Keep orders, whose blood it is (sealed), and which slide was made of it."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0055"
down_revision = "0054"

_STATEMENTS = (
    """
    create table patients (
        patient_id uuid not null constraint pk_patients primary key,
        site varchar not null,
        key varchar not null,
        sealed bytea not null,
        identifier_fingerprint bytea not null,
        added_at timestamptz not null default now()
    )
    """,
    "create unique index uq_patients_identifier on patients (site, identifier_fingerprint)",
    "create index ix_patients_key on patients (key)",
    """
    create table patient_words (
        patient_id uuid not null constraint fk_patient_words_patient_id_patients
            references patients (patient_id) on delete cascade,
        fingerprint bytea not null,
        site varchar not null,
        constraint pk_patient_words primary key (patient_id, fingerprint)
    )
    """,
    "create index ix_patient_words_fingerprint on patient_words (fingerprint)",
    """
    create table orders (
        order_id uuid not null constraint pk_orders primary key,
        site varchar not null,
        barcode varchar not null,
        barcode_folded varchar not null,
        patient_id uuid
            constraint fk_orders_patient_id_patients references patients (patient_id),
        blood_count jsonb not null,
        ordered_at timestamptz,
        added_by varchar not null,
        added_by_name varchar not null,
        added_at timestamptz not null default now()
    )
    """,
    "create unique index uq_orders_barcode on orders (site, barcode_folded)",
    "create index ix_orders_barcode_folded on orders (barcode_folded text_pattern_ops)",
    "create index ix_orders_patient_id on orders (patient_id)",
    """
    create table order_links (
        act_id uuid not null constraint pk_order_links primary key,
        slide_id uuid not null
            constraint fk_order_links_slide_id_slides references slides (slide_id),
        order_id uuid not null
            constraint fk_order_links_order_id_orders references orders (order_id),
        site varchar not null,
        act varchar not null,
        reason varchar,
        answers uuid
            constraint fk_order_links_answers_order_links references order_links (act_id),
        by varchar not null,
        by_name varchar not null,
        at timestamptz not null default now(),
        constraint ck_order_links_act
            check (act in ('link', 'unlink', 'ask-to-unlink', 'refuse-to-unlink')),
        constraint ck_order_links_reason
            check ((act = 'ask-to-unlink') = (reason is not null)),
        constraint ck_order_links_answers
            check (answers is null or act in ('unlink', 'refuse-to-unlink'))
    )
    """,
    "create index ix_order_links_slide_id_act_id on order_links (slide_id, act_id)",
    "create unique index uq_order_links_answers on order_links (answers)",
    "create index ix_order_links_order_id on order_links (order_id) where act = 'link'",
    """
    create trigger append_only before update or delete or truncate on order_links
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on order_links from hemaline_application",
    "alter table slides add column order_id uuid",
    """
    alter table slides add constraint fk_slides_order_id_orders
        foreign key (order_id) references orders (order_id) not valid
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in ("patients", "patient_words", "orders", "order_links"):
        restrict_to_sites(table)
