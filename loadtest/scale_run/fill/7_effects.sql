-- Questions to models in the conversations $1 to $2 as far as they are of the last 3 days, after which they leave: all answered.
insert into effects (id, user_id, kind, sealed, claimed_by, created_at, done_at)
select
  pg_temp.message_id(n, turn + 30, at), 1 + (hashint8(n)::bigint & 2147483647) % $4, 'ask_model',
  decode(repeat(md5('f' || n * 100 + turn), 40), 'hex'), 'gone', at, at
from generate_series($1::bigint, $2::bigint) n
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
) b
cross join generate_series(1, $7::bigint - 1, 2) turn
cross join lateral (select began + make_interval(secs => turn * 40) as at) m
where began > $6::timestamptz - interval '3 days' and (n + turn) % 3 = 0
