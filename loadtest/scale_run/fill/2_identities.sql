-- The phone number of each of the customers $1 to $2, and a user id for every tenth.
insert into identities (hash, user_id, kind, sealed, created_at)
select decode(md5(kind || n), 'hex'), n, kind, decode(repeat(md5('i' || n), 3), 'hex'), $3::timestamptz
from generate_series($1::bigint, $2::bigint) n
cross join (values ('phone'), ('user_id')) as k (kind)
where kind = 'phone' or n % 10 = 0
