-- The beginnings of remembered answers behind a key, in pages.
select key as place, substr(answer, 1, 66) as sealed from idempotency where key > $1 order by key limit $2
