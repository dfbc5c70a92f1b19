-- Make one customer part of another: identities (sealed anew) and unread events move, what was open ends.
-- The raised version turns away a replica that is stepping the absorbed customer at this moment.
with absorbed as (
  update users set version = version + 1, merged_into = $1, state = null, updated_at = to_timestamp($5) where id = $2
),
absorbed_before as (
  update users set merged_into = $1 where merged_into = $2
),
identity as (
  update identities i
  set user_id = $1, sealed = s.sealed
  from unnest($3::bytea[], $4::bytea[]) as s (hash, sealed)
  where i.hash = s.hash
),
event as (
  update journal set user_id = $1 where user_id = $2 and consumed_at is null
),
conversation as (
  update conversations
  set status = 'closed', completed_at = to_timestamp($5), updated_at = to_timestamp($5)
  where user_id = $2 and completed_at is null
),
timer as (
  delete from timers where user_id = $2
),
effect as (
  update effects set done_at = to_timestamp($5) where user_id = $2 and done_at is null
),
unparked as (
  delete from parked where user_id = $2
)
insert into audit (action, by_whom, user_id, conversation_id, detail, created_at)
values ('customers_merged', 'system', $1, $6, 'absorbed customer ' || $2::bigint, to_timestamp($5))
