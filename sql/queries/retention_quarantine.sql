-- Remove quarantined bodies from before a moment, those among the next page.
with page as materialized (
  select id, received_at from quarantine where id > $1::bigint order by id limit $3
),
gone as (
  delete from quarantine t
  where t.id = any (array(select id from page where received_at < to_timestamp($2)))
  returning t.id
)
select
  (select count(*) from gone) as removed,
  (select case when min(received_at) < to_timestamp($2) then count(*) else 0 end from page) as looked,
  (select max(id) from page) as last
