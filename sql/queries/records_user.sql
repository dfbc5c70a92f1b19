-- A customer by the fingerprint of an identity, with both identities and the newest conversation.
select holder.data_key, holder.name, holder.language, holder.opted_out, holder.created_at, holder.updated_at,
  (select i.sealed from identities i where i.user_id = holder.id and i.kind = 'phone' order by i.created_at desc limit 1)
    as phone,
  (select i.sealed from identities i where i.user_id = holder.id and i.kind = 'user_id' order by i.created_at desc limit 1)
    as wa_id,
  theirs.newest, theirs.conversations
from identities found
join users u on u.id = found.user_id
join users holder on holder.id = coalesce(u.merged_into, u.id)
cross join lateral (
  select count(*)::bigint as conversations, (array_agg(c.id order by c.id desc))[1] as newest
  from conversations c
  where c.user_id in (select a.id from users a where a.id = holder.id or a.merged_into = holder.id)
) theirs
where found.hash = $1
