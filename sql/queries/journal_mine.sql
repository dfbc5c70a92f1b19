-- Of envelopes that were there already, those that this very call had appended before its answer was lost.
-- Sealing takes a fresh nonce each time, so equal sealed bytes are the same attempt.
select e.n, j.seq
from unnest($1::bytea[], $2::bytea[]) with ordinality as e (dedup, sealed, n)
join journal j on j.dedup = e.dedup and j.sealed = e.sealed
where j.dedup = any ($1)
