-- How many customers there are, up to a thousand.
select count(*) as count from (select from users limit 1000) a_few
