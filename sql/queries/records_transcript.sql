-- Messages of a conversation before a sequence number, the newest first.
select m.*, u.data_key
from messages m
join users u on u.id = m.user_id
where m.conversation_id = $1
  and m.seq < coalesce($2::bigint, 9223372036854775807)
order by m.seq desc
limit $3
