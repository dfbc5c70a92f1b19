-- Customers with a row that waits since before a moment, oldest first, parked ones aside.
select j.user_id
from journal j
where j.consumed_at is null and not exists (select from parked p where p.user_id = j.user_id)
group by j.user_id
having min(j.accepted_at) < to_timestamp($1)
order by min(j.seq)
limit $2
