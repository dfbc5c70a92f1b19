-- Empty what is free text or a provider's reference beside a conversation's messages.
with emptied as (
  update conversations set escalation_reason = '' where id = $1
),
call as (
  update model_calls set generation_id = '' where conversation_id = $1 and generation_id <> ''
)
update audit set detail = '', note = '' where conversation_id = $1 and (detail <> '' or note <> '')
