-- Conversations of customers behind an id, in the order in which they began.
-- All of one customer are read and then sorted (offset 0): the way along the ids leads through everybody's.
select c.*
from unnest($1::bigint[]) as u (id)
cross join lateral (
  select *
  from conversations
  where user_id = u.id and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
  offset 0
) c
order by c.id
limit $3
