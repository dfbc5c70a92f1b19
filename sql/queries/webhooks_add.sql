-- Make a delivery that belongs to no customer.
insert into webhook_deliveries (endpoint_id, event_id, type, sealed, next_try_at, created_at)
select id, $2, $3, $4, now(), now() from webhook_endpoints where id = $1
returning
  id, endpoint_id, event_id, type, conversation_id, status, attempts, last_status_code, error, created_at, next_try_at,
  finished_at
