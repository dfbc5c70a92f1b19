-- Timers due at a moment, earliest first; those of parked customers wait with them.
select t.id, t.user_id, t.kind
from timers t
where t.due_at <= to_timestamp($1) and not exists (select from parked p where p.user_id = t.user_id)
order by t.due_at
limit $2
