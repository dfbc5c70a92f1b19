-- The first unconsumed rows of each customer in order of acceptance; none of a parked customer.
select c.id as user_id, j.seq, j.dedup, j.sealed
from unnest($1::bigint[]) as c (id)
cross join lateral (
  select seq, dedup, sealed from journal where user_id = c.id and consumed_at is null order by seq limit $2
) j
where not exists (select from parked p where p.user_id = c.id)
order by j.seq
