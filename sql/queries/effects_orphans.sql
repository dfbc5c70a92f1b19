-- Claim the open effects of other replicas that are gone, oldest first; what others are claiming is skipped.
-- What this very call ($3) claimed already, when its answer was lost, is given again, before anything else.
with live as materialized (
  select array_append(array(select id from replicas where gone_at > now()), $1::text) as ids
),
left_behind as materialized (
  select e.id
  from effects e, live
  where e.done_at is null
    and (e.claimed_by <> all (live.ids) or (e.claimed_by = $1 and e.claim_token = $3))
  order by e.claimed_by = $1 desc, e.created_at
  limit $2
  for update of e skip locked
),
claimed as (
  update effects e
  set claimed_by = $1, claim_token = $3
  where e.id = any (array(select id from left_behind))
  returning e.id, e.user_id, e.sealed, e.created_at
)
select c.id, c.user_id as customer, u.data_key, c.sealed
from claimed c
join users u on u.id = c.user_id
order by c.created_at
