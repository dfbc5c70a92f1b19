-- Wait until no other process migrates.
select pg_advisory_lock($1::bigint)
