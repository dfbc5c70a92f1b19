-- What people did in one of five of the conversations $1 to $2.
insert into audit (action, by_whom, user_id, conversation_id, detail, created_at)
select
  deed, 'asha', 1 + (hashint8(n)::bigint & 2147483647) % $4, pg_temp.conversation_id(n, began), '', began + interval '5 minutes'
from generate_series($1::bigint, $2::bigint) n
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
) b
cross join (values ('escalated'), ('assigned'), ('resolved')) as d (deed)
where n % 10 < 2
