-- Erasures that a replica has not heard of; those finished for a day are no news to anybody who lives.
select id, user_ids
from erasures
where finished_at > now() - interval '1 day' and not $1 = any (heard_by)
order by id
limit $2
