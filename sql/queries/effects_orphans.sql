-- Claim the open effects of other replicas that are gone, oldest first; what others are claiming is skipped.
-- What this replica's calls from $4 on claimed already, whose answers were lost, is given again beside it. The call is $3.
with live as materialized (
  select array_append(array(select id from replicas where gone_at > now()), $1::text) as ids
),
left_behind as materialized (
  select e.id
  from effects e, live
  where e.done_at is null and e.claimed_by <> all (live.ids)
  order by e.created_at
  limit $2
  for update of e skip locked
),
claimed as (
  update effects e
  set claimed_by = $1, claim_token = $3
  where e.id = any (array(select id from left_behind))
  returning e.id, e.user_id, e.sealed, e.created_at
),
given as (
  select * from claimed
  union all
  select e.id, e.user_id, e.sealed, e.created_at
  from effects e
  where e.done_at is null and e.claimed_by = $1 and e.claim_token >= $4
)
select g.id, g.user_id as customer, u.data_key, g.sealed
from given g
join users u on u.id = g.user_id
order by g.created_at
