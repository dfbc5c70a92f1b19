-- End all that lives of customers who are held: key, identities, state, timers, questions, events and messages to come.
-- The raised version turns away every replica that steps them at this moment. Rows that the key does not cover are
-- emptied here or listed to be: the erasure's own row says what is left to do.
with person as (
  update users
  set
    data_key = null, version = version + 1, state = null, name = null, language = '', opted_out = false, search = '{}',
    updated_at = to_timestamp($5)
  where id = any ($1::bigint[])
),
identity as (
  delete from identities where user_id = any ($1)
),
stay_out as (
  insert into suppressed (hash, since)
  select hash, to_timestamp($5) from unnest($6::bytea[]) as s (hash)
  on conflict (hash) do nothing
),
answer as (
  delete from idempotency where subjects && $7::bytea[] and subjects <> '{}'
),
event as (
  update journal set consumed_at = to_timestamp($5), sealed = '' where user_id = any ($1) and consumed_at is null
  returning 1
),
timer as (
  delete from timers where user_id = any ($1)
),
question as (
  delete from effects where user_id = any ($1) and done_at is null
),
unparked as (
  delete from parked where user_id = any ($1)
),
unsent as materialized (
  select id from messages where user_id = any ($1) and claimed_by <> '' order by id for update
),
cancelled as (
  update messages m
  set
    delivery_status = 'failed', claimed_by = '', claimed_until = null, retry_at = null, content = '',
    sender_number = '', recipient_number = '', failure_reason = '', failure_code = 0, request_id = null,
    msg91_message_id = erased_id(m.msg91_message_id)
  from unsent u
  where m.id = u.id
  returning 1
),
untold as (
  update webhook_deliveries
  set status = 'cancelled', sealed = '', claimed_by = '', claimed_until = null, finished_at = to_timestamp($5)
  where user_id = any ($1) and status = 'pending'
),
closed as (
  update conversations
  set
    status = 'closed', current_flow = '', current_step = '', updated_at = to_timestamp($5),
    completed_at = to_timestamp($5)
  where user_id = any ($1) and completed_at is null
),
audited as (
  insert into audit (action, by_whom, user_id, created_at)
  select 'customer_erased', $4, u.id, to_timestamp($5) from unnest($1) as u (id)
)
insert into erasures (key, user_ids, sought, by_whom, begun_at, worked_at, events, cancelled, conversations)
select
  $2, $1, $3, $4, to_timestamp($5), now(), (select count(*) from event), (select count(*) from cancelled),
  (select count(*) from conversations where user_id = any ($1))
returning id
