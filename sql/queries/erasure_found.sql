-- An erasure by its key.
select
  id, user_ids, sought, worked_off, finished_at <> 'infinity' as finished, conversations, messages, events, cancelled,
  quarantined
from erasures
where key = $1
