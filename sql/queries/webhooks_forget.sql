-- Remove deliveries made before a moment, so many at most, the oldest first.
with old as materialized (
  select id
  from webhook_deliveries
  where created_at < to_timestamp($1)
  order by created_at
  limit $2
  for update skip locked
)
delete from webhook_deliveries d where d.id = any (array(select id from old)) returning d.id
