-- Add an endpoint unless there are as many as there may be; callers take turns, so that the bound holds.
with turn as materialized (
  select pg_advisory_xact_lock(hashtext('webhook_endpoints'))
)
insert into webhook_endpoints (id, url, events, description, secret)
select $1, $2, $3, $4, $5
from turn
where (select count(*) from webhook_endpoints) < $6
returning id, url, events, description, active, created_at, disabled_at, disabled_reason, failing_since
