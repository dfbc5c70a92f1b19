-- Make a delivery of each announcement for each active endpoint that wants events of its type, in the order given.
insert into webhook_deliveries (endpoint_id, event_id, type, user_id, conversation_id, sealed, next_try_at, created_at)
select
  e.id, a.id, a.type, a.customer, nullif(a.conversation, '')::uuid, decode(a.sealed, 'base64'), now(), to_timestamp(a.at)
from rows from (
  unnest($1::bigint[]),
  json_to_recordset($2::json) as (id uuid, type text, conversation text, sealed text, at double precision)
) with ordinality as a (customer, id, type, conversation, sealed, at, o)
join webhook_endpoints e on e.active and a.type = any (e.events)
order by a.o, e.id
