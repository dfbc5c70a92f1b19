-- Conversations of erased customers behind an id, as export_conversations reads them.
select c.id
from unnest($1::bigint[]) as u (id)
cross join lateral (
  select id
  from conversations
  where user_id = u.id and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
  offset 0
) c
order by c.id
limit $3
