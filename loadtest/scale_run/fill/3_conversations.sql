-- Conversations $1 to $2 of $3, of $4 customers, begun evenly over the $5 days before $6. Those of the last day are open,
-- and one of a thousand older ones is still with a person.
insert into conversations (
  id, session_id, user_id, status, current_flow, language, department, agent, number, resolution_time, satisfaction_score,
  created_at, updated_at, heard_at, completed_at
)
select
  pg_temp.conversation_id(n, began), md5('s' || n), 1 + (hashint8(n)::bigint & 2147483647) % $4,
  status, case when status = 'bot' and n % 4 = 0 then 'support' else '' end, case when n % 3 = 0 then 'hi' else 'en' end,
  case when n % 10 < 2 then 'sales' else '' end, case when status = 'agent' then 'asha' else '' end, '919000000001',
  case when status = 'closed' and n % 10 < 2 then 600 + n % 3000 end,
  case when status = 'closed' and n % 20 = 0 then 1 + n % 5 end,
  began, began + interval '6 minutes', began + interval '6 minutes',
  case when status = 'closed' then began + interval '1 day' end
from (
  select
    n, began,
    case
      when began < $6::timestamptz - interval '1 day' then
        case when n % 2000 = 0 then 'queue' when n % 2000 = 1 then 'agent' else 'closed' end
      else (array['bot', 'bot', 'bot', 'bot', 'bot', 'bot', 'bot', 'model', 'queue', 'agent'])[1 + n % 10]
    end as status
  from generate_series($1::bigint, $2::bigint) n
  cross join lateral (
    select $6::timestamptz - make_interval(secs => $5 * 86400 * (1 - (n - 1)::double precision / $3)) as began
  ) b
) c
