-- Give known customers a further identity, unless somebody has it.
insert into identities (hash, user_id, kind, sealed)
select i.hash, i.user_id, i.kind, i.sealed
from unnest($1::bytea[], $2::bigint[], $3::text[], $4::bytea[]) as i (hash, user_id, kind, sealed)
order by i.hash
on conflict (hash) do nothing
