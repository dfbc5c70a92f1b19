-- The journal of the conversations $1 to $2 as far as they are of the last 3 days, after which they leave: all consumed.
insert into journal (dedup, user_id, kind, sealed, accepted_at, consumed_at, commit_id)
select
  decode(md5('d' || n * 100 + turn), 'hex'), 1 + (hashint8(n)::bigint & 2147483647) % $4, 'message_received',
  decode(repeat(md5('j' || n * 100 + turn), 12), 'hex'), at, at, n
from generate_series($1::bigint, $2::bigint) n
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
) b
cross join generate_series(0, $7::bigint - 1, 2) turn
cross join lateral (select began + make_interval(secs => turn * 40) as at) m
where began > $6::timestamptz - interval '3 days'
