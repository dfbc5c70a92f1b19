-- What erasures under way look for, behind a number, in pages.
select id as place, sought as sealed from erasures where id > $1 order by id limit $2
