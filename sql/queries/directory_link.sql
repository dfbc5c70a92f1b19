-- Give known customers a further identity, unless somebody has it or they were erased meanwhile.
with given as materialized (
  select i.hash, i.user_id, i.kind, i.sealed
  from unnest($1::bytea[], $2::bigint[], $3::text[], $4::bytea[]) as i (hash, user_id, kind, sealed)
  join users u on u.id = i.user_id
  where u.data_key is not null
  for share of u
),
known as (
  delete from suppressed s using given g where s.hash = any ($1) and s.hash = g.hash
)
insert into identities (hash, user_id, kind, sealed)
select g.hash, g.user_id, g.kind, g.sealed
from given g
order by g.hash
on conflict (hash) do nothing
