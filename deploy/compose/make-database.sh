#!/bin/bash
# Run once by PostgreSQL's image on an empty volume: the owner of the tables, who migrates, and the
# role that the processes use, which no policy of the database lets see a row without a principal.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<'SQL'
\set owner `cat /run/secrets/owner-password`
\set application `cat /run/secrets/application-password`
create role hemaline login password :'owner';
create role hemaline_application login password :'application';
create database hemaline owner hemaline encoding 'UTF8' template template0;
SQL
