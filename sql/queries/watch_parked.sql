-- How many customers are parked.
select count(*) as count from parked
