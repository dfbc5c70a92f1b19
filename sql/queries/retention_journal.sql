-- Remove journal rows that were consumed before a moment, those among the next page; unread ones stay.
-- The page is full while there may be something old behind it: rows are nearly in the order of their acceptance.
with page as materialized (
  select seq, accepted_at from journal where seq > $1::bigint order by seq limit $3
),
old as materialized (
  select j.seq
  from journal j
  where j.seq = any (array(select seq from page)) and j.consumed_at < to_timestamp($2)
  for update of j skip locked
),
gone as (
  delete from journal where seq = any (array(select seq from old)) returning seq
)
select
  (select count(*) from gone) as removed,
  (select case when min(accepted_at) < to_timestamp($2) then count(*) else 0 end from page) as looked,
  (select max(seq) from page) as last
