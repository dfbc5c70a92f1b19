-- Let a delivery begin anew, unless its customer was erased or its endpoint is gone; one under way is left to itself.
update webhook_deliveries d
set
  status = 'pending',
  attempts = case when d.claimed_by = '' then 0 else d.attempts end,
  next_try_at = case when d.claimed_by = '' then now() else d.next_try_at end,
  finished_at = null
where
  d.id = $1 and d.status <> 'cancelled' and exists (select from webhook_endpoints e where e.id = d.endpoint_id)
returning
  d.id, d.endpoint_id, d.event_id, d.type, d.conversation_id, d.status, d.attempts, d.last_status_code, d.error,
  d.created_at, d.next_try_at, d.finished_at
