-- Why customers are parked.
select error, attempts, parked_at from parked where user_id = any ($1::bigint[]) order by id
