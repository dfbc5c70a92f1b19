-- The next delivery reports, to be looked through.
select dedup, recipient, coalesce(msg91_message_id, '') || ' ' || reason as told
from reports
where dedup > $1
order by dedup
limit $2
