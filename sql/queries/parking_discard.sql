-- Let a parked customer go on without the event; the version rises, as it does whenever a row is consumed.
-- What the event came from ends with it: a timer would fire again every second, a question would be asked again.
with released as (
  delete from parked where id = $1 returning user_id, journal_seq, error
),
discarded as (
  update journal j
  set consumed_at = to_timestamp($2)
  from released r
  where j.seq = r.journal_seq and j.user_id = r.user_id and j.consumed_at is null
  returning j.user_id, j.kind
),
timer as (
  delete from timers t
  using discarded d
  where t.user_id = d.user_id and d.kind = 'timer_fired' and t.due_at <= to_timestamp($2)
),
effect as (
  update effects e
  set done_at = to_timestamp($2)
  from discarded d
  where e.user_id = d.user_id and e.done_at is null and d.kind in ('model_answered', 'model_failed')
),
raised as (
  update users u set version = u.version + 1 from released r where u.id = r.user_id
),
audited as (
  insert into audit (action, by_whom, user_id, detail, created_at)
  select 'event_discarded', 'operator', r.user_id, 'journal row ' || r.journal_seq || ': ' || r.error, to_timestamp($2)
  from released r
)
select user_id from released
