-- Ids of conversations of customers who have all of the search words $4, with those of customers they absorbed.
-- The limit inside keeps the plan to each customer's own conversations, whatever number of customers is expected.
with found as materialized (
  select id from users where search @> $4::bytea[] and merged_into is null
), theirs as (
  select id from found
  union all
  select absorbed.id from found join users absorbed on absorbed.merged_into = found.id
)
select talk.id
from theirs
cross join lateral (
  select c.id
  from conversations c
  where c.user_id = theirs.id
    and ($1::text is null or c.status = $1)
    and c.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  order by c.id desc
  limit $3
) talk
order by talk.id desc
limit $3
