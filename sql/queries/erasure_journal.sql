-- Empty the events of erased customers among the next rows of the journal; the last sequence number, null for none.
-- The key by which a repetition is known stays. No index leads to a customer's consumed rows: each would cost every event.
with page as materialized (
  select seq, user_id from journal where seq > $2 order by seq limit $3
),
emptied as (
  update journal j
  set sealed = ''
  from page p
  where p.user_id = any ($1::bigint[]) and j.seq = p.seq and j.consumed_at is not null and j.sealed <> ''
  returning 1
),
counted as (
  update erasures set events = events + (select count(*) from emptied), worked_at = now() where id = $4
)
select max(seq) as seq from page
