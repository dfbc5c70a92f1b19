-- The next quarantined bodies, to be looked through.
select id, sealed from quarantine where id > $1 order by id limit $2
