-- Timers due at a moment, earliest first.
-- Those of parked customers wait with them. One whose event is in the journal is under way, on whichever replica; the
-- journal does not tell which timer an event is of, so the others of that customer wait until it was applied. That is
-- looked up for one timer after the other (offset 0), so that it costs the same however much waits in the journal.
select t.id, t.user_id, t.kind
from timers t
where t.due_at <= to_timestamp($1)
  and not exists (select from parked p where p.user_id = t.user_id)
  and not exists (
    select from journal j where j.user_id = t.user_id and j.consumed_at is null and j.kind = 'timer_fired' offset 0
  )
order by t.due_at
limit $2
