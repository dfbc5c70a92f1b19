-- Of these messages those that this replica still has to send, their claims confirmed for as long as it may be silent.
update messages m
set claimed_until = greatest(now(), r.seen_at) + (r.gone_at - r.seen_at)
from replicas r
where m.id = any ($2::uuid[]) and m.claimed_by = $1 and r.id = $1
returning m.id
