-- $7 messages of each of the conversations $1 to $2, in turn from both sides; 64 conversations go on at the same time.
insert into messages (
  id, conversation_id, user_id, direction, message_type, kind, content, sender_number, recipient_number, number,
  msg91_message_id, request_id, delivery_status, failure_code, attempts, reported, is_from_llm, llm_model_used, llm_cost,
  processing_time, caused_at, created_at, sent_at, delivered_at, read_at
)
select
  pg_temp.message_id(n, turn, at), pg_temp.conversation_id(n, began), 1 + (hashint8(n)::bigint & 2147483647) % $4,
  case when ours then 'outbound' else 'inbound' end, 'text',
  case when not ours then 'customer' when by_model then 'model' else 'flow' end,
  decode(repeat(md5('m' || n * 100 + turn), 6), 'hex'), decode(repeat(md5('p' || n), 3), 'hex'), decode(repeat(md5('q' || n), 3), 'hex'),
  '919000000001', 'wamid.HBgMOTE5' || md5('a' || n * 100 + turn), case when ours then md5('r' || n * 100 + turn) end,
  status, case when status = 'failed' then 131026 else 0 end, ours::integer,
  case status when 'received' then 0 when 'failed' then 2 when 'sent' then 1 when 'delivered' then 5 else 13 end,
  by_model, case when by_model then 'openai/gpt-4o-mini' else '' end, case when by_model then 0.0004 end,
  case when ours then 0.3 end, at, at,
  case when status in ('sent', 'delivered', 'read') then at + interval '1 second' end,
  case when status in ('delivered', 'read') then at + interval '2 seconds' end,
  case when status = 'read' then at + interval '1 minute' end
from generate_series($1::bigint / 64, $2::bigint / 64) block
cross join generate_series(0, $7::bigint - 1) turn
cross join generate_series(0, 63) place
cross join lateral (select block * 64 + place as n) c
cross join lateral (
  select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
) b
cross join lateral (
  select
    began + make_interval(secs => turn * 40) as at, turn % 2 = 1 as ours, turn % 2 = 1 and (n + turn) % 3 = 0 as by_model,
    case
      when turn % 2 = 0 then 'received'
      else (array['read', 'read', 'read', 'read', 'read', 'read', 'read', 'delivered', 'delivered', 'failed'])[1 + (n + turn) % 10]
    end as status
) m
where n between $1 and $2
