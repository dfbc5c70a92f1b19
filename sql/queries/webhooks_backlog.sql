-- Deliveries that wait for active endpoints, counted up to $1 for each, and the age of the oldest.
select coalesce(sum(w.count), 0)::bigint as count, coalesce(max(w.oldest), 0)::double precision as oldest_seconds
from webhook_endpoints e
cross join lateral (
  select count(*) as count, extract(epoch from now() - min(p.created_at)) as oldest
  from (
    select d.created_at
    from webhook_deliveries d
    where d.endpoint_id = e.id and d.status = 'pending'
    order by d.id
    limit $1
  ) p
) w
where e.active
