-- Say that a replica lives, for how long that holds and what it knows of the schema; forget those that are long gone.
with forgotten as (
  delete from replicas where gone_at < now() - interval '1 day' and id <> $1
)
insert into replicas (id, seen_at, gone_at, newest_migration)
values ($1, now(), now() + make_interval(secs => $2), $3)
on conflict (id) do update
set seen_at = excluded.seen_at, gone_at = excluded.gone_at, newest_migration = excluded.newest_migration
