-- Whether the database has no table yet.
select not exists (select from information_schema.tables where table_schema = 'public') as empty
