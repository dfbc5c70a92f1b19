-- Put events under another key in place of those that were read, unless they changed.
with held as (
  select t.seq, f.new
  from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as f (place, old, new)
  join journal t on t.seq = f.place and t.sealed = f.old
  order by t.seq
  for update of t
)
update journal t set sealed = h.new from held h where t.seq = h.seq returning t.seq
