-- Let a parked customer go on without the event; the version rises, as it does whenever a row is consumed.
-- What the event came from ends with it: a timer would fire again every second, a question would be asked again.
with released as (
  delete from parked where id = $1 and journal_seq = $2 returning user_id, journal_seq, error
),
discarded as (
  update journal j
  set consumed_at = to_timestamp($3)
  from released r
  where j.seq = r.journal_seq and j.user_id = r.user_id and j.consumed_at is null
),
timer as (
  delete from timers t using released r where t.user_id = r.user_id and t.id = any ($4::uuid[])
),
effect as (
  update effects e
  set done_at = to_timestamp($3)
  from released r
  where e.user_id = r.user_id and e.done_at is null and e.id = any ($5::uuid[])
),
raised as (
  update users u set version = u.version + 1 from released r where u.id = r.user_id
),
audited as (
  insert into audit (action, by_whom, user_id, detail, created_at)
  select 'event_discarded', $6, r.user_id, 'journal row ' || r.journal_seq || ': ' || r.error, to_timestamp($3)
  from released r
)
select user_id from released
