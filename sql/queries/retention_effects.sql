-- Remove effects that were done before a moment, those among the next page of ids.
with page as materialized (
  select id from effects where id > $1::uuid and id < $2::uuid order by id limit $4
),
old as materialized (
  select t.id
  from effects t
  where t.id = any (array(select id from page)) and t.done_at < to_timestamp($3)
  for update of t skip locked
),
gone as (
  delete from effects where id = any (array(select id from old)) returning id
)
select
  (select count(*) from gone) as removed,
  (select count(*) from page) as looked,
  (select id from page order by id desc limit 1) as last
