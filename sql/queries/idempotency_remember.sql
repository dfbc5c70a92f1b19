-- Keep the answer of a call that is finished; one that was kept before stays, unless it is too old to count.
insert into idempotency (key, fingerprint, status, answer, subjects)
values ($1, $2, $3, $4, $5)
on conflict (key) do update
set fingerprint = excluded.fingerprint,
  status = excluded.status,
  answer = excluded.answer,
  subjects = excluded.subjects,
  created_at = excluded.created_at
where idempotency.created_at <= now() - make_interval(secs => $6)
