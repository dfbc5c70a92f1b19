-- Conversations by id with their customer and their newest message, the one begun last first.
select c.id, c.session_id, c.status, c.current_flow, c.current_step, c.language, c.department, c.escalation_reason,
  c.agent, c.number, c.created_at, c.updated_at, c.heard_at, c.completed_at, c.resolution_time, c.satisfaction_score,
  u.data_key as content_key, holder.data_key, holder.name,
  (select i.sealed from identities i where i.user_id = holder.id and i.kind = 'phone' order by i.created_at desc limit 1)
    as phone,
  (select i.sealed from identities i where i.user_id = holder.id and i.kind = 'user_id' order by i.created_at desc limit 1)
    as wa_id,
  last.id as last_id, last.content as last_content
from conversations c
join users u on u.id = c.user_id
join users holder on holder.id = coalesce(u.merged_into, u.id)
left join lateral (
  select m.id, m.content from messages m where m.conversation_id = c.id order by m.seq desc limit 1
) last on true
where c.id = any($1::uuid[])
order by c.id desc
