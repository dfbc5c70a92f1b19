-- Let a parked customer go on without the event; the version rises, as it does whenever a row is consumed.
with released as (
  delete from parked where id = $1 returning user_id, journal_seq, error
),
discarded as (
  update journal j
  set consumed_at = to_timestamp($2)
  from released r
  where j.seq = r.journal_seq and j.user_id = r.user_id and j.consumed_at is null
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
