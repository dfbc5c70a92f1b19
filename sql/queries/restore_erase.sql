-- Take away what the key of erased customers does not cover, as their erasure did.
with person as (
  update users
  set version = version + 1000000000, state = null, name = null, language = '', opted_out = false, search = '{}'
  where id = any ($1::bigint[])
),
identity as (
  delete from identities where user_id = any ($1)
),
event as (
  update journal set consumed_at = coalesce(consumed_at, now()), sealed = '' where user_id = any ($1)
),
timer as (
  delete from timers where user_id = any ($1)
),
question as (
  delete from effects where user_id = any ($1)
),
unparked as (
  delete from parked where user_id = any ($1)
),
delivery as (
  delete from webhook_deliveries where user_id = any ($1)
),
report as (
  delete from reports where recipient = any ($2::bytea[])
),
emptied as (
  update messages
  set
    content = '', sender_number = '', recipient_number = '', failure_reason = '', request_id = null,
    msg91_message_id = case
      when msg91_message_id like 'erased:%' then msg91_message_id else erased_id(msg91_message_id)
    end,
    delivery_status = case when claimed_by <> '' then 'failed' else delivery_status end,
    claimed_by = '', claimed_until = null, retry_at = null
  where user_id = any ($1)
),
conversation as (
  update conversations
  set
    status = 'closed', current_flow = '', current_step = '', escalation_reason = '',
    completed_at = coalesce(completed_at, updated_at)
  where user_id = any ($1)
),
call as (
  update model_calls set generation_id = '' where user_id = any ($1)
)
update audit set detail = '', note = ''
where user_id = any ($1) or conversation_id in (select id from conversations where user_id = any ($1))
