-- Lines of the audit log about customers behind an id.
select a.*
from unnest($1::bigint[]) as u (id)
cross join lateral (
  select id, user_id, action, by_whom, conversation_id, detail, note, created_at
  from audit
  where user_id = u.id and id > $2
  offset 0
) a
order by a.id
limit $3
