-- Of these customers those with unsent messages that somebody else, or nobody yet, has claimed.
-- Two ranges instead of one inequality, so that the index passes over what this replica has claimed itself.
select distinct m.user_id
from messages m
where m.user_id = any ($2::bigint[]) and m.claimed_by <> '' and (m.claimed_by < $1 or m.claimed_by > $1)
