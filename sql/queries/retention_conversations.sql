-- Remove conversations that ended before a moment and have no message any more, those among the next page of ids.
with page as materialized (
  select id from conversations where id > $1::uuid and id < $2::uuid order by id limit $4
),
old as materialized (
  select t.id
  from conversations t
  where t.id = any (array(select id from page)) and t.completed_at < to_timestamp($3)
    and not exists (select from messages m where m.conversation_id = t.id)
  for update of t skip locked
),
gone as (
  delete from conversations where id = any (array(select id from old)) returning id
)
select
  (select count(*) from gone) as removed,
  (select count(*) from page) as looked,
  (select id from page order by id desc limit 1) as last
