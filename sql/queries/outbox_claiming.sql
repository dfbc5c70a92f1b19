-- Of these customers those with messages that a call of this replica ($3), which it has no answer to yet, has claimed.
select distinct m.user_id
from messages m
where m.user_id = any ($2::bigint[]) and m.claimed_by = $1 and m.claim_token = $3
