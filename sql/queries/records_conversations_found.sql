-- Ids of conversations of customers who have all of the search words $4, with those of customers they absorbed.
with found as materialized (
  select id from users where search @> $4::bytea[] and merged_into is null
), theirs as (
  select id from found
  union all
  select absorbed.id from found join users absorbed on absorbed.merged_into = found.id
)
select c.id
from theirs
join conversations c on c.user_id = theirs.id
where ($1::text is null or c.status = $1)
  and c.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by c.id desc
limit $3
