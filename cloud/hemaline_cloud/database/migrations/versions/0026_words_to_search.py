"""Keep the words that slides are searched by in columns of their own.

Under a row policy an index serves only what can leak nothing: comparisons of columns can, functions
such as `lower` are not trusted to.
"""

from alembic import op

revision = "0026"
down_revision = "0025"

_COLUMNS = """
alter table slides
    add column accession_digits varchar,
    add column name_folded varchar,
    add column name_backwards varchar
"""
_WORDS = """
create function words_of_slide() returns trigger language plpgsql as $$
begin
    new.accession_digits = right(new.slide_id::text, 8);
    new.name_folded = lower(new.slide_name);
    new.name_backwards = reverse(new.name_folded);
    return new;
end
$$
"""
_TRIGGER = """
create trigger keep_words before insert or update of slide_id, slide_name on slides
    for each row execute function words_of_slide()
"""
_CHECK = """
alter table slides add constraint ck_slides_accession_digits
    check (accession_digits is not null) not valid
"""
_FILL = """
create function fill_words_of_slides(chosen uuid[]) returns void language sql as $$
    update slides
    set accession_digits = right(slide_id::text, 8),
        name_folded = lower(slide_name),
        name_backwards = reverse(lower(slide_name))
    where slide_id = any(chosen) and accession_digits is null
$$
"""


def upgrade() -> None:
    for statement in (_COLUMNS, _WORDS, _TRIGGER, _CHECK, _FILL):
        op.execute(statement)
