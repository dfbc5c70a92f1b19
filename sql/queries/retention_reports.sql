-- Remove delivery reports that had to wait for their messages, or are not ours, and came before a moment; a page of them.
with page as materialized (
  select dedup, received_at
  from reports
  where received_at >= $1 and received_at < to_timestamp($2)
  order by received_at
  limit $3
  for update skip locked
),
gone as (
  delete from reports where dedup = any (array(select dedup from page)) returning dedup
)
select
  (select count(*) from gone) as removed,
  (select count(*) from page) as looked,
  (select max(received_at) from page) as last
