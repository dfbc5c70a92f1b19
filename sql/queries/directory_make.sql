-- Make a customer for each identity that nobody has yet; the numbers of the identities of others are left unused.
-- In order of hashes, so that two replicas that make the same customers wait for each other instead of locking up.
with fresh as materialized (
  select nextval(pg_get_serial_sequence('users', 'id')) as user_id, i.hash, i.kind, i.sealed, i.data_key
  from unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[]) as i (hash, kind, sealed, data_key)
),
named as (
  insert into identities (hash, user_id, kind, sealed)
  select hash, user_id, kind, sealed from fresh order by hash
  on conflict (hash) do nothing
  returning user_id
)
insert into users (id, data_key) overriding system value
select f.user_id, f.data_key from fresh f join named i on i.user_id = f.user_id
