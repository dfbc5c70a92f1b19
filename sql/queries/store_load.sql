-- Customers as stored.
select
  u.id, u.version, u.state, u.data_key, u.merged_into, u.language, u.opted_out,
  u.data_key is null as erased,
  coalesce((select true from parked p where p.user_id = u.id), false) as parked
from users u
where u.id = any ($1::bigint[])
