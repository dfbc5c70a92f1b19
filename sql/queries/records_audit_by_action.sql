-- Ids of lines of the audit log of one action of one person or token, the latest first.
-- A page goes on below the line at $3 with the id $4.
select id
from audit
where created_at >= coalesce($1::timestamptz, '-infinity')
  and created_at < coalesce($2::timestamptz, 'infinity')
  and (created_at, id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::bigint, 9223372036854775807))
  and by_whom = $6
  and action = $7
order by created_at desc, id desc
limit $5
