#!/bin/bash
# The role by which `backup` copies the database, and its line in pg_hba.conf. Run by PostgreSQL's image on an
# empty volume, and by hand on one that is older than this file; safe to repeat.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<'SQL'
\set password `cat /run/secrets/backup-password`
select 'create role hemaline_backup login replication'
where not exists (select from pg_roles where rolname = 'hemaline_backup') \gexec
alter role hemaline_backup password :'password';
grant hemaline_application to hemaline_backup;
SQL
file=$(psql -U "$POSTGRES_USER" -d postgres -Atc 'show hba_file')
line='host replication hemaline_backup all scram-sha-256' # `all` does not stand for replication
if ! grep -qxF "$line" "$file"; then
    echo "$line" >>"$file"
    psql -q -U "$POSTGRES_USER" -d postgres -Atc 'select pg_reload_conf()' >/dev/null
fi
