-- Lines of the audit log by their ids, the latest first, with their customers' numbers and keys.
-- A note is sealed under the key of the customer of that time, who may have become part of another since.
select a.id, a.action, a.by_whom, a.conversation_id, a.detail, a.note, a.created_at, a.user_id,
  u.data_key as note_key, holder.data_key,
  (select i.sealed from identities i where i.user_id = holder.id and i.kind = 'phone' order by i.created_at desc limit 1)
    as phone
from audit a
left join users u on u.id = a.user_id
left join users holder on holder.id = coalesce(u.merged_into, u.id)
where a.id = any ($1::bigint[])
order by a.created_at desc, a.id desc
