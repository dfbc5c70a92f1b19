-- The answer that a call was given, unless it is too old to count.
select fingerprint, status, answer
from idempotency
where key = $1 and created_at > now() - make_interval(secs => $2)
