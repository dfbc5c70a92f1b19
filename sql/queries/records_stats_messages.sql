-- Messages from $1 to $2 by direction and status.
-- Days that were counted already (stats_settle) are added up; each other day, and the parts of days at both ends, is one
-- range of ids, which carry whole milliseconds of the time.
with piece as materialized (
  select
    greatest($1::timestamptz, began) as since, least($2::timestamptz, began + interval '1 day') as until,
    case when began >= $1 and began + interval '1 day' <= $2 then (began at time zone 'UTC')::date end as whole
  from generate_series(date_trunc('day', $1, 'UTC'), $2, interval '1 day') began
  where began < $2
),
counted as (
  select t.*
  from message_days d
  cross join lateral jsonb_to_recordset(d.totals) as t (
    direction text, delivery_status text, messages bigint, from_model bigint, timed bigint, seconds double precision
  )
  where d.day in (select whole from piece where whole is not null)
  union all
  select m.*
  from piece p
  cross join lateral (
    select direction, delivery_status, count(*) as messages, count(*) filter (where is_from_llm) as from_model,
      count(processing_time) as timed, coalesce(sum(processing_time), 0) as seconds
    from messages
    where id >= (lpad(to_hex((extract(epoch from p.since) * 1000)::bigint - 2), 12, '0') || repeat('0', 20))::uuid
      and id < (lpad(to_hex((extract(epoch from p.until) * 1000)::bigint + 2), 12, '0') || repeat('0', 20))::uuid
      and created_at >= p.since and created_at < p.until
    group by direction, delivery_status
  ) m
  where not exists (select from message_days d where d.day = p.whole)
)
select direction, delivery_status, sum(messages)::bigint as messages, sum(from_model)::bigint as from_model,
  sum(timed)::bigint as timed, sum(seconds) as seconds
from counted
group by direction, delivery_status
