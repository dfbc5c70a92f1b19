-- Of these customers those with messages that calls of this replica from $3 on, whose answers are not there yet, have claimed.
select distinct m.user_id
from messages m
where m.user_id = any ($2::bigint[]) and m.claimed_by <> '' and m.claimed_by = $1 and m.claim_token >= $3
