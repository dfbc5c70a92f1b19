-- What models were asked in a conversation and what it cost.
select
  id, conversation_id, outcome, model, prompt_tokens, completion_tokens, cost_usd, estimated, attempts, seconds,
  created_at
from model_calls
where conversation_id = $1
order by created_at
