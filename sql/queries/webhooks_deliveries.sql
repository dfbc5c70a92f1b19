-- A page of an endpoint's deliveries with one of these statuses, the latest first.
with listed as materialized (
  select l.id
  from unnest($2::text[]) as s (status)
  cross join lateral (
    select w.id
    from webhook_deliveries w
    where w.endpoint_id = $1 and w.status = s.status and w.id < $3
    order by w.id desc
    limit $4
  ) l
  order by l.id desc
  limit $4
)
select
  d.id, d.endpoint_id, d.event_id, d.type, d.conversation_id, d.status, d.attempts, d.last_status_code, d.error,
  d.created_at, d.next_try_at, d.finished_at
from webhook_deliveries d
where d.id = any (array(select id from listed))
order by d.id desc
