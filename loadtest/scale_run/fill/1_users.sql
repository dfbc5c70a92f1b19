-- Customers $1 to $2 of $3, who came evenly over the $4 days before $5. Nothing here can be opened: sizes are right, keys are not.
insert into users (id, data_key, version, state, name, language, search, created_at, updated_at)
overriding system value
select
  n, decode(repeat(md5('k' || n), 4), 'hex'), 20, decode(repeat(md5('s' || n), 25), 'hex'), decode(repeat(md5('n' || n), 3), 'hex'),
  case when n % 3 = 0 then 'hi' else 'en' end,
  array(select decode(md5('e' || right((910000000000 + n)::text, digits)), 'hex') from generate_series(4, 12) digits)
    || array(select decode(md5('w' || n % 2000 / power(4, 6 - letters)::bigint), 'hex') from generate_series(2, 6) letters)
    || array(select decode(md5('w' || 5000 + n % 3000 / power(4, 6 - letters)::bigint), 'hex') from generate_series(2, 6) letters),
  $5::timestamptz - make_interval(secs => $4 * 86400 * (1 - n::double precision / $3)),
  $5::timestamptz - make_interval(secs => $4 * 86400 * (1 - n::double precision / $3))
from generate_series($1::bigint, $2::bigint) n
