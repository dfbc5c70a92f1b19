-- Let an endpoint's deliveries of one status since a moment begin anew, so many at most, the earliest first.
-- All of that status first, by their index: in order of ids every delivery would be looked at.
with theirs as materialized (
  select id from webhook_deliveries where endpoint_id = $1 and status = $2 and created_at >= $3 and claimed_by = ''
),
wanted as materialized (
  select id
  from webhook_deliveries
  where id = any (array(select id from theirs order by id limit $4)) and status = $2 and claimed_by = ''
  order by created_at, id
  for update skip locked
)
update webhook_deliveries d
set status = 'pending', attempts = 0, next_try_at = now(), finished_at = null
from wanted w
where d.id = w.id
returning d.id
