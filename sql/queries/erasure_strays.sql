-- Events that were journalled for a customer after their erasure, in order; none of a customer who lives.
-- An identity that still leads to an erased customer (an older backup may hold one) leads nowhere from here on.
with lost as (
  delete from identities i using users u where u.id = $1 and u.data_key is null and i.user_id = u.id
)
select j.seq, j.dedup, j.sealed
from journal j
join users u on u.id = j.user_id
where j.user_id = $1 and j.consumed_at is null and u.data_key is null
order by j.seq
limit $2
