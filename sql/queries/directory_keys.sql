-- The wrapped data keys of customers.
select id, data_key from users where id = any ($1::bigint[])
