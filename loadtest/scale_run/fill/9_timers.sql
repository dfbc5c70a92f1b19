-- The ends of the sessions of open conversations, none of them due.
insert into timers (id, user_id, kind, due_at)
select gen_random_uuid(), user_id, 'conversation', now() + interval '1 day'
from conversations
where completed_at is null and status in ('bot', 'model')
