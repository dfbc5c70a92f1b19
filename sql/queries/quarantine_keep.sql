-- Keep bodies that could not be used, sealed.
insert into quarantine (reason, sealed, received_at)
select b.reason, b.sealed, to_timestamp(b.at)
from unnest($1::text[], $2::bytea[], $3::double precision[]) as b (reason, sealed, at)
