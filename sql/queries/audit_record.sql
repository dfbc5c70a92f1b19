-- Add a line to the audit log, without a note; its time is the database's.
insert into audit (action, by_whom, user_id, conversation_id, detail, created_at)
values ($1, $2, $3, $4, $5, now())
