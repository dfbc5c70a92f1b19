-- Hand events that came after an erasure to the customer they begin anew with; empty those that nobody is left to hear.
with moved as (
  update journal j
  set user_id = m.user_id
  from unnest($2::bigint[], $3::bigint[]) as m (seq, user_id)
  where j.seq = m.seq and j.user_id = $1 and j.consumed_at is null
)
update journal j
set consumed_at = to_timestamp($5), sealed = ''
where j.seq = any ($4::bigint[]) and j.user_id = $1 and j.consumed_at is null
