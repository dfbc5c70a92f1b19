-- Take up an erasure at which nobody has worked for some seconds: who did is gone.
with left_behind as (
  select id
  from erasures
  where finished_at = 'infinity' and not worked_off and worked_at < now() - make_interval(secs => $1)
  order by id
  limit 1
  for update skip locked
)
update erasures e
set worked_at = now()
from left_behind l
where e.id = l.id
returning e.id, e.user_ids, e.sought, e.worked_off
