-- Delivery reports whose message never became known: one for each ten of the conversations $1 to $2,
-- as far as they are of the last 7 days, after which they leave.
insert into reports (dedup, msg91_message_id, request_id, status, reported_at, received_at)
select
  decode(md5('u' || n), 'hex'), 'foreign-' || md5('u' || n), null, 'delivered', began, began
from generate_series($1::bigint, $2::bigint, 10) n
cross join lateral (
  select $3::timestamptz - make_interval(secs => $4 * 86400 * (1 - (n - 1)::double precision / $5)) as began
) b
where began > $3::timestamptz - interval '7 days'
