-- Hand the unread rows of an absorbed customer to the one who absorbed them.
update journal set user_id = $2 where user_id = $1 and consumed_at is null
