-- Ids of conversations, the one begun last first; closed ones when $1 is closed, of any status when it is null.
select id
from conversations
where ($1::text is null or status = $1)
  and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by id desc
limit $3
