-- Whose conversation this is; of a merged customer, the one who absorbed them.
select coalesce(u.merged_into, u.id) as user_id
from conversations c
join users u on u.id = c.user_id
where c.id = $1::uuid
