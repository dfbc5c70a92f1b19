-- Waiting delivery reports of the last hour whose message is known by now, by their keys.
-- There are such when the report and the note of the send call's answer were written at the same moment.
select r.dedup
from reports r
where r.matched_at is null
  and r.received_at > now() - interval '1 hour'
  and (
    exists (select from messages m where m.direction = 'outbound' and m.msg91_message_id = r.msg91_message_id)
    or exists (select from messages m where m.request_id = r.request_id)
  )
limit 1000
