-- The migrations that were applied, with the checksums they had.
select name, checksum from schema_migrations order by name
