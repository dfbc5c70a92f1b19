-- Remove messages from before a moment, those among the next page of ids; what is still to be sent stays.
with page as materialized (
  select id from messages where id > $1::uuid and id < $2::uuid order by id limit $4
),
old as materialized (
  select t.id
  from messages t
  where t.id = any (array(select id from page)) and t.created_at < to_timestamp($3) and t.claimed_by = ''
  for update of t skip locked
),
gone as (
  delete from messages where id = any (array(select id from old)) returning id
)
select
  (select count(*) from gone) as removed,
  (select count(*) from page) as looked,
  (select id from page order by id desc limit 1) as last
