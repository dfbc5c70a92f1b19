-- Make a customer for each identity that nobody has yet; the numbers of the identities of others are left unused.
-- Who had opted out before they were erased begins opted out.
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
),
stay_out as (
  delete from suppressed s
  using fresh f
  join named i on i.user_id = f.user_id
  where s.hash = any ($1) and s.hash = f.hash
  returning f.user_id
)
insert into users (id, data_key, opted_out) overriding system value
select f.user_id, f.data_key, o.user_id is not null
from fresh f
join named i on i.user_id = f.user_id
left join stay_out o on o.user_id = f.user_id
