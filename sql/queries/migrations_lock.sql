-- Take the turn to migrate, unless another process has it.
select pg_try_advisory_lock($1::bigint)
