-- Empty the next messages of an erased customer's conversation and count them; the last sequence number, null for none.
-- Delivery reports that wait for them go too. What stays of a provider's id still matches late reports.
with batch as materialized (
  select m.id, m.seq, m.msg91_message_id, m.request_id
  from messages m
  where m.id = any (array(
    select id from messages where conversation_id = $1 and seq > $2 order by seq limit $3
  ))
  order by m.id
  for update
),
report as (
  delete from reports r
  using batch b
  where r.matched_at is null and r.msg91_message_id = b.msg91_message_id
),
emptied as (
  update messages m
  set
    content = '', sender_number = '', recipient_number = '', failure_reason = '', request_id = null,
    msg91_message_id = erased_id(m.msg91_message_id)
  from batch b
  where m.id = b.id and m.content <> ''
  returning 1
),
counted as (
  update erasures set messages = messages + (select count(*) from emptied), worked_at = now() where id = $4
)
select max(seq) as seq from batch
