-- Of these messages those that this replica still has to send, their claims confirmed for as long as it may be silent.
-- One that comes behind a message somebody else has claimed is given up: whoever sweeps takes it when its turn comes.
with others as materialized (
  select o.user_id, min(o.seq) as seq
  from (
    select m.user_id, m.seq from messages m where m.claimed_by <> '' and m.claimed_by < $1
    union all
    select m.user_id, m.seq from messages m where m.claimed_by <> '' and m.claimed_by > $1
  ) o
  group by o.user_id
),
claimed as materialized (
  select m.id, coalesce(o.seq < m.seq, false) as behind
  from messages m
  left join others o on o.user_id = m.user_id
  where m.id = any ($2::uuid[]) and m.claimed_by = $1
),
given_up as (
  update messages m
  set claimed_by = '-', claimed_until = null
  from claimed c
  where m.id = c.id and m.claimed_by = $1 and c.behind
)
update messages m
set claimed_until = greatest(now(), r.seen_at) + (r.gone_at - r.seen_at)
from replicas r, claimed c
where m.id = c.id and m.claimed_by = $1 and r.id = $1 and not c.behind
returning m.id
