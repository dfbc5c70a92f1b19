-- Keep the sources of flows that are in force now.
insert into flow_versions (digest, flow_id, version, source)
select distinct on (v.digest) v.digest, v.flow_id, v.version, v.source
from unnest($1::text[], $2::text[], $3::integer[], $4::text[]) as v (digest, flow_id, version, source)
order by v.digest
on conflict (digest) do update set used_at = now()
