-- Timers of customers.
select kind, due_at from timers where user_id = any ($1::bigint[]) order by due_at
