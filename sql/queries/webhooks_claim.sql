-- Claim deliveries that are due for endpoints with room for them; what others hold or are claiming is skipped.
-- Of one customer only the earliest open one may go, until $6 attempts of it have failed. An endpoint that failed $5
-- times in a row gets one at a time, and none while it is held. The look for earlier ones is written so that no plan but
-- the customer's index is open to it: an endpoint that was away for long has very many waiting.
with live as materialized (
  select array_append(array(select id from replicas where gone_at > now()), $1::text) as ids, 'pending'::text as open
),
due as materialized (
  select d.id
  from unnest($2::uuid[], $3::integer[]) as w (endpoint_id, room)
  join webhook_endpoints e on e.id = w.endpoint_id and e.active and coalesce(e.hold_until <= now(), true)
  cross join live
  cross join lateral (
    select p.id
    from webhook_deliveries p
    where
      p.endpoint_id = w.endpoint_id and p.status = 'pending' and p.next_try_at <= now()
      and (p.claimed_by = '' or p.claimed_until <= now() or p.claimed_by <> all (live.ids))
      and (
        select b.id
        from webhook_deliveries b
        where
          b.user_id = p.user_id and b.endpoint_id is not distinct from p.endpoint_id and b.status = live.open
          and b.id < p.id and b.attempts < $6
        limit 1
      ) is null
    order by p.next_try_at
    limit case when e.failures >= $5 then 1 else w.room end
    for update of p skip locked
  ) d
),
claimed as (
  update webhook_deliveries d
  set claimed_by = $1, claimed_until = now() + make_interval(secs => $4)
  where d.id = any (array(select id from due))
  returning d.id, d.endpoint_id, d.event_id, d.user_id, d.sealed, d.attempts
)
select
  c.id, c.endpoint_id, e.url, e.secret, case when e.old_secret_until > now() then e.old_secret end as old_secret,
  c.event_id, c.user_id, u.data_key, c.sealed, c.attempts
from claimed c
join webhook_endpoints e on e.id = c.endpoint_id
left join users u on u.id = c.user_id
order by c.id
