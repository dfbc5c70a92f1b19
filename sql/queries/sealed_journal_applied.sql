-- The beginnings of applied events behind a number, in pages; an empty one for those that wait.
select seq as place, case when consumed_at is not null then substr(sealed, 1, 66) else '' end as sealed
from journal
where seq > $1
order by seq
limit $2
