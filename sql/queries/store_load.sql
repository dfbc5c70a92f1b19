-- Customers as stored.
select id, version, state, data_key, merged_into from users where id = any ($1::bigint[])
