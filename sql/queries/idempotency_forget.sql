-- Delete answers older than so many seconds, the oldest first, as many as a small batch has.
delete from idempotency
where key in (
  select key
  from idempotency
  where created_at < now() - make_interval(secs => $1)
  order by created_at
  limit $2
  for update skip locked
)
returning key
