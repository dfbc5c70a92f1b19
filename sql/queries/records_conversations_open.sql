-- Ids of conversations that flows or a model hold, by the partial index of the open ones, which are few.
with open as materialized (
  select id from conversations where completed_at is null and status = $1
)
select id
from open
where id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by id desc
limit $3
