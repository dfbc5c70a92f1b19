-- Note when tokens were used last; never backwards, as several replicas tell.
update api_tokens t
set last_used_at = to_timestamp(u.at)
from unnest($1::bigint[], $2::double precision[]) as u (id, at)
where t.id = u.id and (t.last_used_at is null or t.last_used_at < to_timestamp(u.at))
