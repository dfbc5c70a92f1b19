-- How many messages wait to be sent, and the age of the oldest in seconds.
select
  count(*) as count,
  coalesce(greatest(extract(epoch from now() - min(created_at)), 0), 0)::double precision as oldest_seconds
from messages
where claimed_by <> ''
