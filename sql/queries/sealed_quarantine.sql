-- Quarantined bodies behind an id, in pages.
select id as place, sealed from quarantine where id > $1 order by id limit $2
