-- What a customer is parked for, and the timers and questions that its event may have come from.
select
  p.journal_seq, j.kind, j.dedup,
  array(select t.id from timers t where t.user_id = p.user_id) as timers,
  array(select e.id from effects e where e.user_id = p.user_id and e.done_at is null) as questions
from parked p
left join journal j on j.seq = p.journal_seq
where p.id = $1
