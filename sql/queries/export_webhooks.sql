-- Deliveries of outgoing webhooks about customers behind an id.
select d.*
from unnest($1::bigint[]) as u (id)
cross join lateral (
  select id, endpoint_id, event_id, type, user_id, conversation_id, sealed, status, attempts, created_at, finished_at
  from webhook_deliveries
  where user_id = u.id and id > $2
  offset 0
) d
order by d.id
limit $3
