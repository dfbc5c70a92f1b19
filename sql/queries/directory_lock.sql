-- Hold two customers for a merge, with what decides which is kept and what is open.
-- There are fewer rows when one was merged or erased meanwhile.
select
  u.id, u.data_key,
  exists (select from identities i where i.user_id = u.id and i.kind = 'phone') as has_phone,
  c.id as conversation, coalesce(c.status in ('queue', 'agent'), false) as held_by_person,
  coalesce(c.department, '') as department
from users u
left join lateral (
  select id, status, department from conversations where user_id = u.id and completed_at is null
  order by created_at desc limit 1
) c on true
where u.id = any ($1::bigint[]) and u.merged_into is null and u.data_key is not null
order by u.id
for update of u
