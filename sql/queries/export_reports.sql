-- Delivery reports for a number among the next ones, and the last key of those beside each, as export_journal does it.
with page as materialized (
  select dedup, recipient, msg91_message_id, status, reason, code, reported_at, received_at
  from reports
  where dedup > $2
  order by dedup
  limit $3
)
select l.last, p.msg91_message_id, p.status, p.reason, p.code, p.reported_at, p.received_at
from (select dedup as last from page order by dedup desc limit 1) l
left join page p on p.recipient = any ($1::bytea[])
order by p.received_at
