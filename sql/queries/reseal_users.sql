-- Put wrapped data keys in place of those that were read; one that changed or was destroyed meanwhile stays so.
with held as (
  select t.id, f.new
  from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as f (place, old, new)
  join users t on t.id = f.place and t.data_key = f.old
  order by t.id
  for update of t
)
update users t set data_key = h.new from held h where t.id = h.id returning t.id
