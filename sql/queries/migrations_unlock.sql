-- Let the next process migrate.
select pg_advisory_unlock($1::bigint)
