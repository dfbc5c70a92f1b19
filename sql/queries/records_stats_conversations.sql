-- What became of conversations that began from $1 to $2; $3 and $4 bound their ids, which carry the time.
select count(*)::bigint as started,
  count(*) filter (where status <> 'closed')::bigint as open,
  count(*) filter (where status = 'closed')::bigint as closed,
  count(*) filter (where handed)::bigint as handed_to_person,
  count(*) filter (where status = 'closed' and not handed)::bigint as contained,
  avg(resolution_time) as average_resolution_seconds,
  avg(satisfaction_score)::double precision as average_satisfaction
from (
  select status, resolution_time, satisfaction_score,
    status in ('queue', 'agent') or department <> '' or agent <> '' as handed
  from conversations
  where id >= $3::uuid and id < $4::uuid and created_at >= $1::timestamptz and created_at < $2::timestamptz
) began
