-- The replicas that live and whose release ends before a migration.
select id, newest_migration
from replicas
where gone_at > now() and newest_migration collate "C" < $1::text collate "C"
order by id
