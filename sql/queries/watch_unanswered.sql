-- How many customers' last message, from before a moment, has had no reply, no hand-over and no decision not to reply.
-- A count that any replica made within the last $2 seconds serves all; 0 counts anew in any case.
-- First those heard and stepped: only open conversations that a person does not hold are looked at, and of these the ones
-- heard within a day, after which WhatsApp lets nobody answer; for each the index of its messages gives the last few.
-- So the cost goes with the customers of a day and not with the messages ever stored. Then those accepted and not stepped.
-- A reply counts once the provider took it.
with turn as materialized (
  select name from looks
  where name = 'unanswered' and ($2 <= 0 or looked_at <= now() - make_interval(secs => $2))
  for update skip locked
),
counted as (
  update looks l
  set looked_at = now(), count = (
    select count(*)
    from (
      select c.user_id
      from conversations c
      cross join lateral (
        select m.seq, m.unanswered from messages m
        where m.conversation_id = c.id and m.direction = 'inbound'
        order by m.seq desc
        limit 1
      ) heard
      where c.completed_at is null
        and c.status in ('bot', 'model')
        and c.heard_at < to_timestamp($1)
        and c.heard_at > to_timestamp($1) - interval '1 day'
        and heard.unanswered = ''
        and not exists (
          select from messages m
          where m.conversation_id = c.id and m.seq > heard.seq and m.direction = 'outbound' and m.sent_at is not null
        )
      union
      select j.user_id
      from journal j
      where j.consumed_at is null and j.kind = 'message_received' and j.accepted_at < to_timestamp($1)
    ) u
  )
  from turn
  where l.name = turn.name
  returning l.count
)
select coalesce((select count from counted), (select count from looks where name = 'unanswered')) as count
