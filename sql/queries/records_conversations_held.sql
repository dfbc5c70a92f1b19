-- Ids of conversations in the queue or with an agent, by the partial index of those.
select id
from conversations
where status in ('queue', 'agent')
  and status = $1
  and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by id desc
limit $3
