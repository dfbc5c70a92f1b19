-- Change an endpoint; what is null stays. One that is made active forgets its failures, one that is not says why.
update webhook_endpoints
set
  url = coalesce($2, url),
  events = coalesce($3, events),
  description = coalesce($4, description),
  active = coalesce($5, active),
  failures = case when $5 then 0 else failures end,
  failing_since = case when $5 then null else failing_since end,
  hold_until = case when $5 then null else hold_until end,
  disabled_at = case when $5 then null when not $5 and active then now() else disabled_at end,
  disabled_reason = case when $5 then '' when not $5 and active then $6 else disabled_reason end
where id = $1
returning id, url, events, description, active, created_at, disabled_at, disabled_reason, failing_since
