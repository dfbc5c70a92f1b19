-- Put keys of the service in place of those that were read, unless somebody changed them.
with held as (
  select t.name, f.new
  from unnest($1::text[], $2::bytea[], $3::bytea[]) as f (place, old, new)
  join keyring t on t.name = f.place and t.wrapped = f.old
  order by t.name
  for update of t
)
update keyring t set wrapped = h.new from held h where t.name = h.name returning t.name
