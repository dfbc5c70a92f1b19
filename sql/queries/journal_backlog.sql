-- How many rows wait, parked customers aside, and the age of the oldest in seconds.
select
  count(*) as count,
  coalesce(greatest(extract(epoch from now() - min(j.accepted_at)), 0), 0)::double precision as oldest_seconds
from journal j
where j.consumed_at is null and not exists (select from parked p where p.user_id = j.user_id)
