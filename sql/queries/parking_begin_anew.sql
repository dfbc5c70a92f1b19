-- Let a parked customer go on without the state that cannot be opened: every event that waits is applied to an empty one.
-- What the lost state had under way ends with it, as nothing remembers it: timers, questions, the open conversation.
-- What is already on its way to the customer, their language and their opt-out stay.
with released as (
  delete from parked where id = $1 and journal_seq = 0 returning user_id, error
),
emptied as (
  update users u set version = u.version + 1, state = null from released r where u.id = r.user_id
),
timer as (
  delete from timers t using released r where t.user_id = r.user_id
),
effect as (
  update effects e set done_at = to_timestamp($2) from released r where e.user_id = r.user_id and e.done_at is null
),
lost as materialized (
  select c.id, c.user_id, c.status
  from conversations c
  join released r on r.user_id = c.user_id
  where c.completed_at is null
),
closed as (
  update conversations c
  set
    status = 'closed', current_flow = '', current_step = '', updated_at = to_timestamp($2),
    completed_at = to_timestamp($2)
  from lost l
  where c.id = l.id
),
audited as (
  insert into audit (action, by_whom, user_id, conversation_id, detail, created_at)
  select
    'conversation_begun_anew', $3, r.user_id, l.id,
    r.error || coalesce('; it was held by: ' || l.status, ''), to_timestamp($2)
  from released r
  left join lost l on l.user_id = r.user_id
)
select user_id from released
