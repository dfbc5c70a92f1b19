-- Record what calls of models cost, each once; of an erased customer without the provider's reference.
insert into model_calls (
  id, user_id, conversation_id, outcome, model, prompt_tokens, completion_tokens, cost_usd, estimated, attempts, seconds,
  generation_id, created_at
)
select
  c.id, c.customer, c.conversation, c.outcome, c.model, c.prompt_tokens, c.completion_tokens, c.cost_usd, c.estimated,
  c.attempts, c.seconds, case when u.data_key is null then '' else c.generation_id end, to_timestamp(c.at)
from json_to_recordset($1::json) as c (
  id uuid, customer bigint, conversation uuid, outcome text, model text, prompt_tokens integer,
  completion_tokens integer, cost_usd numeric, estimated boolean, attempts integer, seconds double precision,
  generation_id text, at double precision
)
left join users u on u.id = c.customer
on conflict (id) do nothing
