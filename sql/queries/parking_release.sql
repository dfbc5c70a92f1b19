-- Let a parked customer go on with the same event.
with released as (
  delete from parked where id = $1 returning user_id, journal_seq, error
),
audited as (
  insert into audit (action, by_whom, user_id, detail, created_at)
  select 'parked_retried', $2, r.user_id, 'journal row ' || r.journal_seq || ': ' || r.error, to_timestamp($3)
  from released r
)
select user_id from released
