-- One message.
select m.*, u.data_key
from messages m
join users u on u.id = m.user_id
where m.id = $1
