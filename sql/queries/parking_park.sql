-- Park a customer whose event cannot be stepped, or note another attempt; a later event only waits behind the first.
-- One who was erased has nothing to wait for.
insert into parked (user_id, journal_seq, error, attempts, parked_at)
select id, $2, $3, $4, to_timestamp($5) from users where id = $1 and data_key is not null for share
on conflict (user_id) do update
set
  journal_seq = excluded.journal_seq,
  error = excluded.error,
  attempts = excluded.attempts,
  parked_at = excluded.parked_at
where parked.journal_seq >= excluded.journal_seq
