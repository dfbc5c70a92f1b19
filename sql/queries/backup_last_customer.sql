-- The highest id of a customer.
select coalesce(max(id), 0) from users
