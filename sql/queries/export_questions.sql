-- Questions to models that have no answer yet.
select id, user_id, sealed, created_at
from effects
where user_id = any ($1::bigint[]) and done_at is null and kind = 'ask_model'
order by created_at
