-- Seconds since the longest due timer should have fired; timers of parked customers wait with them and are no delay.
select coalesce((
  select extract(epoch from now() - t.due_at)
  from timers t
  where t.due_at <= now() and not exists (select from parked p where p.user_id = t.user_id)
  order by t.due_at
  limit 1
), 0)::float8 as late_seconds
