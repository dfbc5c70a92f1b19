-- What each answer of a model in the conversations $1 to $2 cost.
insert into model_calls (
  id, user_id, conversation_id, outcome, model, prompt_tokens, completion_tokens, cost_usd, estimated, attempts, seconds,
  generation_id, created_at
)
select
  pg_temp.message_id(n, turn + 50, at), 1 + (hashint8(n)::bigint & 2147483647) % $4, pg_temp.conversation_id(n, began), 'answered',
  'openai/gpt-4o-mini', 800, 80, 0.0004, false, 1, 1.4, 'gen-' || md5('g' || n * 100 + turn), at
from generate_series($1::bigint, $2::bigint) n
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
) b
cross join generate_series(1, $7::bigint - 1, 2) turn
cross join lateral (select began + make_interval(secs => turn * 40) as at) m
where (n + turn) % 3 = 0
