-- Parked customers with the kind of event they are stuck at, the latest first.
select p.id, p.error, p.attempts, p.parked_at, j.kind as event, u.data_key, u.name,
  (select i.sealed from identities i where i.user_id = u.id and i.kind = 'phone' order by i.created_at desc limit 1)
    as phone,
  (select i.sealed from identities i where i.user_id = u.id and i.kind = 'user_id' order by i.created_at desc limit 1)
    as wa_id,
  (select c.id from conversations c where c.user_id = u.id order by c.created_at desc limit 1) as conversation_id
from parked p
join users u on u.id = p.user_id
left join journal j on j.seq = p.journal_seq
where p.id < coalesce($1::bigint, 9223372036854775807)
order by p.id desc
limit $2
