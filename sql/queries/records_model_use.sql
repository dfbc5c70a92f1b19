-- What models cost in one conversation.
select count(*)::bigint as calls,
  coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint as tokens,
  coalesce(sum(cost_usd), 0)::double precision as cost_usd,
  coalesce(bool_or(estimated), false) as estimated
from model_calls
where conversation_id = $1
