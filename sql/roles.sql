-- Two roles for one database: desk_owner migrates, desk_service serves. Run it as an administrator of the database, once
-- before the first `bot migrate` and again after every `bot migrate`: it may be repeated at any time.
--
-- The service reads and writes rows, and that is all: it makes and drops nothing, truncates nothing, cannot say that a
-- migration was applied, and cannot change a line of the audit log (it only adds lines, and removes those that are old).
-- What erasure empties in the audit log is let through by a grant on those two columns alone.
--
-- Give both a password of their own, or let them come in by certificate:
--   alter role desk_owner login password '...';  alter role desk_service login password '...';
-- Then DATABASE_URL of `bot migrate` and `bot restore` names desk_owner, that of `bot serve` and everything else
-- desk_service.

do $$
begin
  if not exists (select from pg_roles where rolname = 'desk_owner') then
    create role desk_owner login;
  end if;
  if not exists (select from pg_roles where rolname = 'desk_service') then
    create role desk_service login;
  end if;
  execute format('grant connect on database %I to desk_owner, desk_service', current_database());
end
$$;

-- Nobody but the owner makes anything; PostgreSQL before 15 lets everybody.
revoke create on schema public from public;
grant usage, create on schema public to desk_owner;
grant usage on schema public to desk_service;

-- What there is, and what desk_owner will make.
grant select, insert, update, delete on all tables in schema public to desk_service;
grant usage, select on all sequences in schema public to desk_service;
alter default privileges for role desk_owner in schema public
  grant select, insert, update, delete on tables to desk_service;
alter default privileges for role desk_owner in schema public
  grant usage, select on sequences to desk_service;

-- Less than that for two tables, as soon as they are there.
do $$
begin
  if to_regclass('public.schema_migrations') is not null then
    revoke insert, update, delete on public.schema_migrations from desk_service;
  end if;
  if to_regclass('public.audit') is not null then
    revoke update on public.audit from desk_service;
    grant update (detail, note) on public.audit to desk_service;
  end if;
end
$$;
