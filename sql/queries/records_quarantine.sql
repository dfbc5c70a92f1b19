-- Quarantined bodies, the latest first.
select id, reason, sealed, received_at
from quarantine
where id < coalesce($1::bigint, 9223372036854775807)
order by id desc
limit $2
