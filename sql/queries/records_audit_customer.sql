-- Ids of lines of the audit log about the customer with an identity, the latest first.
-- A page goes on below the line at $3 with the id $4.
select id
from audit
where created_at >= coalesce($1::timestamptz, '-infinity')
  and created_at < coalesce($2::timestamptz, 'infinity')
  and (created_at, id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::bigint, 9223372036854775807))
  and ($6::text is null or by_whom = $6)
  and ($7::text is null or action = $7)
  and user_id in (
    select a.id
    from identities i
    join users u on u.id = i.user_id
    join users a on a.id = coalesce(u.merged_into, u.id) or a.merged_into = coalesce(u.merged_into, u.id)
    where i.hash = $8
  )
order by created_at desc, id desc
limit $5
