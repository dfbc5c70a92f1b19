-- Record what became of attempts by the replica $2, and what that says of their endpoints; those disabled for it.
-- An endpoint that failed $3 times in a row is held for $4 seconds, doubling up to $5, and disabled after $6.
with n as (
  select *
  from json_to_recordset($1::json) as n (
    id bigint, status text, tried boolean, delay double precision, status_code integer, error text, gone boolean
  )
),
locked as materialized (
  select l.id
  from (select id, status from n order by id) o
  cross join lateral (
    select d.id
    from webhook_deliveries d
    where d.id = o.id and d.finished_at is null and (d.claimed_by = $2 or o.status = 'delivered')
    for update of d
  ) l
),
noted as (
  update webhook_deliveries d
  set
    status = n.status,
    attempts = d.attempts + n.tried::integer,
    last_status_code = coalesce(nullif(n.status_code, 0), d.last_status_code),
    error = n.error,
    next_try_at = now() + make_interval(secs => n.delay),
    claimed_by = '',
    claimed_until = null,
    finished_at = case when n.status <> 'pending' then now() end
  from n
  where d.id = any (array(select id from locked)) and n.id = d.id
  returning d.endpoint_id, n.status, n.tried, n.gone
),
tally as (
  select
    endpoint_id, bool_or(status = 'delivered') as taken, count(*) filter (where tried and status <> 'delivered') as failed,
    bool_or(gone) as gone
  from noted
  group by endpoint_id
),
counted as materialized (
  select
    e.id, t.gone, case when t.taken then 0 else e.failures + t.failed end as failures,
    case when not t.taken then coalesce(e.failing_since, now()) end as failing_since
  from webhook_endpoints e
  join tally t on t.endpoint_id = e.id
  where e.active and (t.gone or e.failures > 0 or (t.failed > 0 and not t.taken))
  order by e.id
  for update of e
),
judged as (
  update webhook_endpoints e
  set
    failures = c.failures,
    failing_since = c.failing_since,
    hold_until = case
      when c.failures >= $3 then
        now() + make_interval(secs => least($5::double precision, $4::double precision * 2 ^ least(c.failures - $3, 30)))
    end,
    active = not (c.gone or coalesce(c.failing_since < now() - make_interval(secs => $6), false)),
    disabled_at = case
      when c.gone or c.failing_since < now() - make_interval(secs => $6) then now()
    end,
    disabled_reason = case
      when c.gone then 'the endpoint answered 410: it is gone'
      when c.failing_since < now() - make_interval(secs => $6) then 'nothing was taken for too long'
      else ''
    end
  from counted c
  where e.id = c.id
  returning e.id, e.active, e.disabled_reason
)
select id, disabled_reason from judged where not active
