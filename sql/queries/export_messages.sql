-- Messages of a conversation behind a sequence number, in order.
select * from messages where conversation_id = $1 and seq > $2 order by seq limit $3
