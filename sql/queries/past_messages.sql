-- Those of these ids under which there is a message of ours, in the order of its conversation.
select id
from messages
where id = any($1::uuid[]) and direction = 'outbound'
order by seq
