-- US dollars that calls of models cost since a moment.
select coalesce(sum(cost_usd), 0)::double precision as spent from model_calls where created_at >= to_timestamp($1)
