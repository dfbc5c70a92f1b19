-- What the company's own systems were told of the conversations $1 to $2, over three endpoints that are not
-- active, as far as they are of the last 30 days; and remembered answers of the last day. Both leave after that.
with endpoint as (
  insert into webhook_endpoints (id, url, events, secret, active)
  select md5('h' || n)::uuid, 'https://example.com/' || n, array['message.received'], decode(md5('h' || n), 'hex'), false
  from generate_series(0, 2) n
  on conflict (id) do nothing
),
answer as (
  insert into idempotency (key, fingerprint, status, answer, subjects, created_at)
  select
    decode(md5('o' || n), 'hex'), decode(md5('o' || n), 'hex'), 200, decode(repeat(md5('o' || n), 8), 'hex'),
    case when n % 2 = 0 then array[decode(md5('phone' || n), 'hex')] else '{}' end,
    $6::timestamptz - make_interval(secs => 80000 * n::double precision / $3)
  from generate_series($1::bigint, $2::bigint, 20) n
)
insert into webhook_deliveries (
  endpoint_id, event_id, type, user_id, conversation_id, sealed, status, attempts, next_try_at, created_at, finished_at
)
select
  md5('h' || n % 3)::uuid, gen_random_uuid(), 'message.received', 1 + n % $4, gen_random_uuid(),
  decode(repeat(md5('t' || n), 12), 'hex'),
  case when n % 50 = 0 then 'failed' else 'delivered' end, 1,
  began, began, began
from generate_series($1::bigint, $2::bigint, 2) n
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - n::double precision / $3)) as began
) b
where began > $6::timestamptz - interval '30 days'
