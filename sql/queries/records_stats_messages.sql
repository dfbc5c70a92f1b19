-- Messages from $1 to $2 by direction and status; $3 and $4 bound their ids, which carry the time.
select direction, delivery_status,
  count(*)::bigint as messages,
  count(*) filter (where is_from_llm)::bigint as from_model,
  count(processing_time)::bigint as timed,
  coalesce(sum(processing_time), 0) as seconds
from messages
where id >= $3::uuid and id < $4::uuid and created_at >= $1::timestamptz and created_at < $2::timestamptz
group by direction, delivery_status
