-- Go on with ids that no customer has had, also not one who came after this backup.
select setval(
  pg_get_serial_sequence('users', 'id'),
  greatest($1::bigint, (select coalesce(max(id), 0) from users), 1)
)
