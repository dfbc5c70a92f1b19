-- Numbers for new customers.
select nextval(pg_get_serial_sequence('users', 'id')) as id from generate_series(1, $1::bigint)
