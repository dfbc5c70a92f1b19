-- What waits, as on a busy day: unread events, unsent messages of a replica that is gone, open questions, due timers,
-- parked customers, quarantined bodies, deliveries to the company's own systems. Done before a look, and undone after it.
with unread as (
  update journal set consumed_at = null, commit_id = null
  where seq > (select max(seq) - 100 from journal)
),
unsent as (
  update messages set delivery_status = 'pending', claimed_by = 'gone', sent_at = null, delivered_at = null, read_at = null
  where direction = 'outbound' and seq > (select max(seq) - 200 from messages)
),
open as (
  update effects set done_at = null
  where id = any (array(select id from effects order by created_at desc limit 50))
),
due as (
  update timers set due_at = now() - interval '1 minute'
  where id = any (array(select id from timers limit 100))
),
told as (
  update webhook_endpoints set active = true
),
undelivered as (
  update webhook_deliveries set status = 'pending', finished_at = null
  where id = any (array(select id from webhook_deliveries order by id desc limit 100))
),
looked as (
  update looks set looked_at = now()
),
stuck as (
  insert into parked (user_id, journal_seq, error, attempts, parked_at)
  select id, 1, 'ValueError', 3, now() from users where id <= 50
)
insert into quarantine (reason, sealed, received_at)
select 'unknown_shape', decode(repeat(md5('y' || n), 40), 'hex'), now() - make_interval(secs => 10 * n)
from generate_series(1, 5000) n
