-- Customers' wrapped data keys behind an id, in pages; null where it was destroyed.
select id as place, data_key as sealed from users where id > $1 order by id limit $2
