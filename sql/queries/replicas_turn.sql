-- Begin the call $2 that claims for $1; no row when a later one has begun: then this one came late, and must claim nothing.
-- The row stays locked to the end of the transaction, so the next statement sees all that earlier calls have claimed.
insert into replicas (id, gone_at, claim_turn)
values ($1, now(), $2)
on conflict (id) do update
set claim_turn = excluded.claim_turn
where replicas.claim_turn < excluded.claim_turn
returning id
