-- The events under these dedup keys that a commit has consumed.
select dedup, sealed
from journal
where dedup = any($1::bytea[]) and consumed_at is not null and sealed <> ''
