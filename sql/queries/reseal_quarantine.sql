-- Put quarantined bodies under another key in place of those that were read.
with held as (
  select t.id, f.new
  from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as f (place, old, new)
  join quarantine t on t.id = f.place and t.sealed = f.old
  order by t.id
  for update of t
)
update quarantine t set sealed = h.new from held h where t.id = h.id returning t.id
