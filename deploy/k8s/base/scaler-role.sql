-- Run once by a superuser in Hemaline's database, after the first `migrate`:
--     psql -d hemaline -v password=… -f scaler-role.sql
-- Row-level policies show a role the rows of the sites that it names; this one names all of them,
-- and may read the queue alone, which holds no patient's data.
create role hemaline_scaler login password :'password' connection limit 4;
alter role hemaline_scaler set default_transaction_read_only = on;
alter role hemaline_scaler set hemaline.sites = '*';
alter role hemaline_scaler set hemaline.principal = 'service:scaler';
grant select on work to hemaline_scaler;
