-- All endpoints of outgoing webhooks, or the one with this id; the one made last first.
select id, url, events, description, active, created_at, disabled_at, disabled_reason, failing_since
from webhook_endpoints
where $1::uuid is null or id = $1
order by created_at desc, id desc
