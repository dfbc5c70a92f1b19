-- The beginnings of webhook deliveries behind an id that are about no customer, in pages; an empty one for the others.
select id as place, case when user_id is null then substr(sealed, 1, 66) else '' end as sealed
from webhook_deliveries
where id > $1
order by id
limit $2
