-- Claim the unsent messages of other replicas that are gone, of whole customers, in order.
-- What others are claiming is skipped.
-- The customer's row is the lock for all their messages, so two replicas never share out one conversation.
-- A claim that was confirmed meanwhile (claimed_until) is seen when the row is read again under its lock.
-- What lines up behind a message that a living replica has still to send waits for that.
-- What this replica's calls from $4 on claimed already, whose answers were lost, is given again beside it. The call is $3.
with live as materialized (
  select array_append(array(select id from replicas where gone_at > now()), $1::text) as ids
),
others as materialized (
  select m.user_id, min(m.seq) as seq
  from messages m, live
  where m.claimed_by <> '' and (m.claimed_by < $1 or m.claimed_by > $1)
    and not (m.claimed_by <> all (live.ids) and coalesce(m.claimed_until <= now(), true))
  group by m.user_id
),
left_behind as (
  select m.user_id, min(m.seq) as seq
  from messages m, live
  where m.claimed_by <> ''
    and m.claimed_by <> all (live.ids) and coalesce(m.claimed_until <= now(), true)
    and not exists (select from others o where o.user_id = m.user_id and o.seq < m.seq)
  group by m.user_id
  order by 2
  limit $2
),
held as materialized (
  select u.id, u.data_key
  from users u
  where u.id = any (array(select user_id from left_behind))
  order by u.id
  for no key update skip locked
),
before as materialized (
  select m.id, m.delivery_status
  from messages m, live
  where m.claimed_by <> ''
    and m.claimed_by <> all (live.ids) and coalesce(m.claimed_until <= now(), true)
    and m.user_id = any (array(select id from held))
    and not exists (select from others o where o.user_id = m.user_id and o.seq < m.seq)
  order by m.seq
  for update of m skip locked
),
claimed as (
  update messages m
  set claimed_by = $1, claimed_until = null, claim_token = $3
  from before b
  where m.id = b.id
  returning m.*, b.delivery_status = 'sending' as uncertain
),
given as (
  select c.*, h.data_key from claimed c join held h on h.id = c.user_id
  union all
  select m.*, m.delivery_status = 'sending', u.data_key
  from messages m
  join users u on u.id = m.user_id
  where m.claimed_by <> '' and m.claimed_by = $1 and m.claim_token >= $4
)
select
  g.id, g.user_id as customer, g.conversation_id as conversation, g.data_key, g.content, g.recipient_number, g.number,
  g.kind, extract(epoch from g.caused_at)::double precision as caused_at,
  extract(epoch from g.created_at)::double precision as created_at, g.attempts, g.uncertain,
  extract(epoch from g.retry_at)::double precision as retry_at
from given g
order by g.seq
