-- Count the messages of the latest day (UTC) that nobody has counted yet and that is $1 days past.
-- No row when there is none. One replica at a time, and one day at a time.
with turn as materialized (
  select pg_try_advisory_xact_lock(hashtext('message_days')) as mine
),
first as materialized (
  select date_trunc('day', created_at, 'UTC') as began from messages order by id limit 1
),
uncounted as materialized (
  select d.began
  from turn, first
  cross join lateral generate_series(
    first.began, date_trunc('day', now() - make_interval(days => $1), 'UTC') - interval '1 day', interval '1 day'
  ) as d (began)
  where turn.mine and not exists (select from message_days k where k.day = (d.began at time zone 'UTC')::date)
  order by d.began desc
  limit 1
)
insert into message_days (day, totals)
select (u.began at time zone 'UTC')::date, coalesce(m.totals, '[]')
from uncounted u
cross join lateral (
  select jsonb_agg(to_jsonb(t)) as totals
  from (
    select direction, delivery_status, count(*) as messages, count(*) filter (where is_from_llm) as from_model,
      count(processing_time) as timed, coalesce(sum(processing_time), 0) as seconds
    from messages
    where id >= (lpad(to_hex((extract(epoch from u.began) * 1000)::bigint - 2), 12, '0') || repeat('0', 20))::uuid
      and id < (
        lpad(to_hex((extract(epoch from u.began + interval '1 day') * 1000)::bigint + 2), 12, '0') || repeat('0', 20)
      )::uuid
      and created_at >= u.began and created_at < u.began + interval '1 day'
    group by direction, delivery_status
  ) t
) m
on conflict (day) do nothing
returning day
