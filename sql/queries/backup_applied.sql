-- Applied events without their content: what knows a repeated webhook.
select seq, dedup, user_id, kind, ''::bytea as sealed, accepted_at, consumed_at, commit_id
from journal
where consumed_at is not null
